import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { encodeCell } from '../../features/values/value-bytes.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import { Registry } from '../../registry/registry.ts'
import { bucketOf } from '../../features/values/entity-key.ts'
import { tidemark, tidemarkJson } from '../support/cli-process.ts'
import { Random, runSeed } from '../support/random.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

function writeEvents(
  project: string,
  name: string,
  random: Random,
  events: number,
  from: number,
  prefix: string = '',
): string {
  const lines = Array.from({ length: events }, () =>
    JSON.stringify({
      card_id: `c-${random.below(20)}`,
      merchant: random.pick(['a', 'b', null]),
      amount: random.pick([0.1, 0.2, 1e16, 12.5, -3, 7]),
      paid_at: from - random.below(48 * 3_600_000),
    }),
  )
  const path = join(project, name)
  writeFileSync(path, `${prefix}${lines.join('\n')}\n`)
  return path
}

async function startServer(
  context: TestContext,
  project: string,
): Promise<{ url: string; kill(signal: NodeJS.Signals): Promise<void> }> {
  const child = spawn(process.execPath, ['cli/main.ts', '--project', project, 'start', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  context.after(() => child.kill('SIGKILL'))
  const url = await new Promise<string>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const match = /on (http:\S+)/.exec(chunk.toString())
      if (match !== null) resolve(match[1])
    })
  })
  return {
    url,
    kill: async (signal) => {
      child.kill(signal)
      await exited
    },
  }
}

interface Answer {
  readonly version: string
  readonly features: string[]
  readonly rows: {
    values: (number | string | null)[]
    statuses: string[]
    evaluatedAt: number
    stamps: { nextOffset: string }[]
  }[]
}

async function post(url: string, body: unknown): Promise<{ status: number; body: Answer & { code?: string } }> {
  const response = await fetch(`${url}/v1/features/fraud`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Answer & { code?: string } }
}

test(
  'stream, served vector, export and verification give the same bits; a flipped bit is found',
  { timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('command line'))
    const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
    const plan = await tidemarkJson<{ changes: { name: string }[] }>(project, 'apply')
    assert.deepEqual(plan.changes.map(({ name }) => name).sort(), ['card', 'card_spend', 'fraud', 'payments'])
    assert.deepEqual(await tidemarkJson(project, 'plan'), { changes: [], catalogue: [], building: [] })

    const produced = await tidemarkJson<{ accepted: number; refused: number; codes: object }>(
      project,
      'produce',
      'payments',
      writeEvents(
        project,
        'one.jsonl',
        random,
        500,
        Date.now(),
        'not json\n{"card_id":null,"merchant":null,"amount":1,"paid_at":1}\n',
      ),
    )
    assert.deepEqual(produced, { accepted: 500, refused: 2, codes: { TM_EVENT_NOT_JSON: 1, TM_EVENT_NULL: 1 } })

    const server = await startServer(context, project)
    const running = await tidemarkJson<{ running: boolean; deadLetters: object }>(project, 'status')
    assert.equal(running.running, true)
    assert.deepEqual(running.deadLetters, { payments: 2 })
    assert.match((await tidemark(project, 'start')).stderr, /TM_ALREADY_RUNNING/)
    await tidemarkJson(project, 'produce', 'payments', writeEvents(project, 'two.jsonl', random, 700, Date.now()))
    await tidemarkJson(project, 'wait', '--timeout', '60s')

    const entities = Array.from({ length: 21 }, (_, i) => ({ card_id: `c-${i}` }))
    const served = await post(server.url, { entities, request: entities.map(() => ({ amount: 2.5 })) })
    assert.equal(served.status, 200)
    assert.deepEqual(served.body.rows[20].statuses.slice(0, 4), ['MISSING', 'MISSING', 'MISSING', 'DEFAULTED'])
    for (const [body, code] of [
      ['{', 'TM_REQUEST_MALFORMED'],
      [{ entities: [{ card_id: 3 }] }, 'TM_ENTITY_KEY'],
      [{ entities: [{ card_id: 'a', other: 1 }], request: [{ amount: 1 }] }, 'TM_UNKNOWN_FIELD'],
      [{ entities: [{ card_id: 'a' }], request: [{ amount: '1' }] }, 'TM_REQUEST_FIELD'],
    ] as const) {
      const refused = await post(server.url, body)
      assert.equal(refused.status, 400)
      assert.equal(refused.body.code, code)
    }

    // A spine at the served evaluation times: the export must hold the served bytes.
    const rows = served.body.rows.map((row, i) => `${entities[i].card_id},${row.evaluatedAt},2.5`)
    writeFileSync(join(project, 'spine.csv'), `card_id,timestamp,amount\n${rows.join('\n')}\n`)
    const out = join(project, 'out.csv')
    const exporting = ['export', 'fraud', '--spine', join(project, 'spine.csv'), '--out', out]
    // Refused until the archive is known to be complete up to these times.
    for (let refused = await tidemark(project, ...exporting); refused.code !== 0;) {
      assert.match(refused.stderr, /^TM_SPINE_TOO_LATE/)
      await pause(200)
      refused = await tidemark(project, ...exporting)
    }
    const first = await tidemarkJson<{ rows: number; outputSha256: string }>(project, ...exporting)
    assert.equal(first.rows, 21)
    const lines = readFileSync(out, 'utf8').trim().split('\n')
    const header = lines[0].split(',')
    lines.slice(1).forEach((line, i) => {
      const cells = line.split(',')
      served.body.features.forEach((feature, f) => {
        if (feature === 'amount') return
        const value = served.body.rows[i].values[f]
        const text = cells[header.indexOf(feature)]
        const parsed = text === '' ? null : typeof value === 'string' ? text : Number(text)
        assert.deepEqual(encodeCell(parsed, 'PRESENT'), encodeCell(value, 'PRESENT'), `${feature} of row ${i}`)
      })
    })
    const again = await tidemarkJson<{ outputSha256: string }>(project, ...exporting)
    assert.equal(again.outputSha256, first.outputSha256)

    const verified = await tidemarkJson<{ rows: number; mismatches: unknown[]; pending: number }>(project, 'verify')
    assert.equal(verified.rows, 21)
    assert.deepEqual(verified.mismatches, [])
    await server.kill('SIGTERM')

    await flipStoredBit(project, 'c-3')
    const broken = await startServer(context, project)
    assert.equal((await post(broken.url, { entities: [{ card_id: 'c-3' }], request: [{ amount: 2.5 }] })).status, 200)
    await broken.kill('SIGTERM')
    const found = await tidemark(project, '--json', 'verify')
    assert.equal(found.code, 1)
    const { mismatches } = JSON.parse(found.stdout) as { mismatches: { feature: string; cause: string }[] }
    assert.ok(mismatches.length > 0)
    assert.match(mismatches[0].cause, /differs/)
  },
)

/** Flips the lowest bit of one byte of a stored entity state that still decodes. */
async function flipStoredBit(project: string, card: string): Promise<void> {
  const metadata = await openSqliteMetadata(join(project, '.tidemark/metadata.sqlite'))
  const online = await openLmdbOnline({ path: join(project, '.tidemark/online'), now: Date.now })
  const [log] = await new Registry(metadata).keyedLogs()
  const key = new TextEncoder().encode(card)
  const bucket = { keyedLog: log.name, bucket: bucketOf(key, 256) }
  const view = log.views[0].version
  const [{ marker, states }] = await online.read([{ ...bucket, keys: [{ view, key }] }])
  assert.ok(marker !== null && states[0] !== null)
  const state = { ...states[0], open: Uint8Array.from(states[0].open) }
  // The newest τ is the state's first number; a later τ moves the evaluation of nothing but the row's own status and time.
  state.open[state.open.length - 1] ^= 1
  const flush = {
    ...bucket,
    epoch: marker.epoch,
    views: marker.views,
    expectedOffset: marker.nextOffset,
    nextOffset: marker.nextOffset,
    origins: marker.origins,
  }
  assert.deepEqual(await online.flush([{ ...flush, writes: [{ view, key, state }] }]), ['applied'])
  await online.close()
  await metadata.close()
}
