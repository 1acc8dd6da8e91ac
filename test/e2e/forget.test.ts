import assert from 'node:assert/strict'
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { CliProcess, tidemark, tidemarkJson as json } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

const GONE = 'card-to-forget'

async function start(context: TestContext, project: string): Promise<{ url: string; stop(): Promise<void> }> {
  const server = new CliProcess(context, project, 'start', '--port', '0')
  const [, url] = await server.line(/on (http:\S+)/)
  return {
    url,
    stop: async () => {
      server.child.kill('SIGTERM')
      await server.exited
    },
  }
}

function events(project: string, name: string, cards: readonly string[]): string {
  const path = join(project, name)
  const line = (card_id: string, i: number): string =>
    JSON.stringify({ card_id, merchant: `m${i % 3}`, amount: 1 + i, paid_at: Date.now() - i * 1000 })
  writeFileSync(path, cards.map(line).join('\n'))
  return path
}

const holding = (data: string): string[] =>
  globSync('**/*', { cwd: data }).filter(
    (name) => statSync(join(data, name)).isFile() && readFileSync(join(data, name)).includes(GONE),
  )

interface Outcome {
  readonly removed: { readonly events: number; readonly sourceLines: number; readonly servedVectors: number }
  readonly erased: boolean
}

interface Vector {
  readonly rows: readonly { readonly statuses: readonly string[]; readonly values: readonly unknown[] }[]
}

test('forget beside a running start and alone; what comes later counts anew', { timeout: 300_000 }, async (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  const data = join(project, '.tidemark')
  await json(project, 'apply')
  const cards = [GONE, 'c-1', GONE, 'c-2', GONE]
  await json(project, 'produce', 'payments', events(project, 'events-1.jsonl', cards))
  const server = await start(context, project)
  await json(project, 'wait', '--timeout', '60s')
  const ask = async (card_id: string): Promise<Vector> =>
    json<Vector>(project, 'get', 'fraud', `card_id=${card_id}`, 'amount=1')
  const post = async (card_id: string): Promise<void> => {
    const body = JSON.stringify({ entities: [{ card_id }], request: [{ amount: 1 }] })
    const headers = { 'content-type': 'application/json' }
    assert.equal((await fetch(`${server.url}/v1/features/fraud`, { method: 'POST', headers, body })).status, 200)
  }
  await post(GONE)
  await post('c-1')
  // The server logs what it served a moment later.
  while ((await json<{ rows: number }>(project, 'verify')).rows < 2);
  const other = await ask('c-1')
  assert.equal((await ask(GONE)).rows[0].statuses[0], 'PRESENT')

  for (const [args, code] of [
    [['forget', 'cart', 'card_id=1'], 'TM_UNKNOWN_ENTITY'],
    [['forget', 'card', 'card=1'], 'TM_USAGE'],
    [['forget', 'card', 'card_id'], 'TM_USAGE'],
  ] as const)
    assert.match((await tidemark(project, ...args)).stderr, new RegExp(code))

  const beside = await json<Outcome>(project, 'forget', 'card', `card_id=${GONE}`)
  assert.deepEqual(beside.removed.events, 3)
  assert.equal(beside.removed.sourceLines, 3)
  assert.equal(beside.removed.servedVectors, 1)
  assert.equal(beside.erased, false)
  assert.equal((await ask(GONE)).rows[0].statuses[0], 'MISSING')
  assert.deepEqual((await ask('c-1')).rows[0].values, other.rows[0].values)
  await json(project, 'produce', 'payments', events(project, 'events-2.jsonl', [GONE, 'c-1']))
  await json(project, 'wait', '--timeout', '60s')
  assert.equal((await ask(GONE)).rows[0].values[0], 1)
  assert.equal((await json<{ mismatchCount: number }>(project, 'verify')).mismatchCount, 0)
  await server.stop()

  const alone = await json<Outcome>(project, 'forget', 'card', `card_id=${GONE}`)
  assert.deepEqual(alone, { ...alone, removed: { ...alone.removed, events: 1, sourceLines: 1 }, erased: true })
  assert.deepEqual(holding(data), [])
  assert.equal((await ask('c-1')).rows[0].statuses[0], 'PRESENT')
  const verified = await json<{ mismatchCount: number; rows: number }>(project, 'verify')
  assert.deepEqual([verified.mismatchCount, verified.rows], [0, 1])
})
