import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { livePresences } from '../../cli/presence.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import type { PartOwner } from '../../streams/workers/worker-group.ts'
import { until } from '../services/until.ts'
import { CliProcess, tidemark, tidemarkJson } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'

const READY = /serving features on (http:\S+)/
const TIMEOUT = { timeout: 300_000 }

async function rolePids(project: string): Promise<Record<string, number>> {
  const start = (await livePresences(join(project, '.tidemark'))).find(({ name }) => name === 'start')
  return Object.fromEntries((start?.roles ?? []).map(({ role, pid }) => [role, pid ?? 0]))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await pause(20)
}

function writeEvent(project: string, amount: number): string {
  const path = join(project, `${amount}.jsonl`)
  writeFileSync(path, `${JSON.stringify({ card_id: 'c-1', merchant: 'm', amount, paid_at: Date.now() - 1000 })}\n`)
  return path
}

async function spend(url: string): Promise<unknown> {
  const response = await fetch(`${url}/v1/features/fraud`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities: [{ card_id: 'c-1' }], request: [{ amount: 1 }] }),
  })
  const answer = (await response.json()) as { features: string[]; rows: { values: unknown[] }[] }
  return answer.rows[0].values[answer.features.indexOf('card_spend__spend_24h')]
}

test(
  'start runs every role in a process of its own, starts a dead one anew, and stops all on SIGTERM',
  TIMEOUT,
  async (context) => {
    const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
    await tidemarkJson(project, 'apply')
    const start = new CliProcess(context, project, 'start', '--port', '0')
    const [, url] = await start.line(READY)
    assert.equal((await fetch(`${url}/readyz`)).status, 200)

    const second = await tidemark(project, 'start', '--port', '0')
    assert.equal(second.code, 1)
    assert.match(second.stderr, new RegExp(`^TM_ALREADY_RUNNING: .*process ${start.child.pid}, ${url}.*: use it.*\n$`))
    start.child.kill('SIGSTOP')
    const beside = await tidemark(project, 'start', '--port', '0')
    assert.match(
      beside.stderr,
      new RegExp(`^TM_ALREADY_RUNNING: process ${start.child.pid} .*does not answer.*kill -CONT`),
    )
    start.child.kill('SIGCONT')

    const before = await rolePids(project)
    assert.deepEqual(Object.keys(before), ['stream', 'archive', 'serve'])
    process.kill(before.stream, 'SIGKILL')
    await start.line(/stream +TM_ROLE_DIED: the process was ended by SIGKILL; starts anew in 0\.25 s/)
    await start.line(/stream +runs again/)
    await tidemarkJson(project, 'produce', 'payments', writeEvent(project, 10.5))
    const waited = await tidemarkJson<{ events: number }>(project, 'wait', '--timeout', '60s')
    assert.ok(waited.events <= 1)
    assert.equal(await spend(url), 10.5)

    process.kill(before.serve, 'SIGKILL')
    await start.line(/serve +runs again/)
    assert.equal((await fetch(`${url}/healthz`)).status, 200, 'the same port, though it was any free one')

    const pids = Object.values(await rolePids(project))
    start.child.kill('SIGTERM')
    assert.equal(await start.exited, 0)
    assert.deepEqual(pids.filter(isAlive), [])
    assert.deepEqual(await rolePids(project), {})
  },
)

test('a killed start leaves no process behind, and its successor goes on where it was', TIMEOUT, async (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  await tidemarkJson(project, 'apply')
  const start = new CliProcess(context, project, 'start', '--port', '0')
  await start.line(READY)
  const pids = Object.values(await rolePids(project))
  assert.equal(pids.length, 3)
  await tidemarkJson(project, 'produce', 'payments', writeEvent(project, 4))
  start.child.kill('SIGKILL')
  await untilGone(pids)
  const next = new CliProcess(context, project, 'start', '--port', '0')
  const [, url] = await next.line(READY)
  await tidemarkJson(project, 'wait', '--timeout', '60s')
  assert.equal(await spend(url), 4)
})

test('a stream role beside start shares its work and does it all when start ends', TIMEOUT, async (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  await tidemarkJson(project, 'apply')
  const start = new CliProcess(context, project, 'start', '--port', '0')
  await start.line(READY)
  const second = new CliProcess(context, project, 'stream')
  await second.line(/stream +runs/)
  const workers = async (): Promise<number> => {
    const { parts } = await tidemarkJson<{ parts: PartOwner[] }>(project, 'status')
    return new Set(parts.flatMap(({ kind, worker }) => (kind === 'stream' ? [worker] : []))).size
  }
  await until(async () => (await workers()) === 2)
  assert.match((await tidemark(project, 'status', '--verbose')).stdout, /work +worker +since +parts/)
  start.child.kill('SIGINT')
  assert.equal(await start.exited, 0)
  // Nobody archives now: the command does that part itself and leaves the rest to the role.
  await tidemarkJson(project, 'produce', 'payments', writeEvent(project, 3))
  await tidemarkJson(project, 'wait', '--timeout', '60s')
  assert.equal((await tidemarkJson<{ caughtUp: boolean }>(project, 'status')).caughtUp, true)
  assert.equal(await workers(), 1)
  second.child.kill('SIGTERM')
  assert.equal(await second.exited, 0)
})

test('a role that cannot go on stays down, is named once, and makes the server unready', TIMEOUT, async (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  await tidemarkJson(project, 'apply')
  await tidemarkJson(project, 'produce', 'payments', writeEvent(project, 1))
  const log = await openLmdbLog({ path: join(project, '.tidemark/log'), now: Date.now })
  await log.deleteTopic('dead.payments')
  await log.createTopic('dead.payments', { partitions: 2 })
  await log.close()
  const start = new CliProcess(context, project, 'start', '--port', '0')
  const [, url] = await start.line(READY)
  await start.line(/stream +stays down, the others go on: TM_LOG_TOPIC_MISMATCH: topic dead.payments has 2 partitions/)
  // The server learns of it a moment later than the log.
  await until(async () => (await fetch(`${url}/readyz`)).status === 503)
  assert.match(await (await fetch(`${url}/readyz`)).text(), /stream is stopped: TM_LOG_TOPIC_MISMATCH/)
  await pause(1500)
  assert.equal(start.output.match(/stream +stays down/g)?.length, 1, start.output)
  assert.equal(await spend(url), 1)
  start.child.kill('SIGTERM')
  await start.exited
})

test('a taken port and a wrong setting end start at once with their code, said once', TIMEOUT, async (context) => {
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  const taken = createServer()
  await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening))
  context.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const refused = await tidemark(project, 'start', '--port', String(port))
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^TM_PORT_IN_USE: port \d+ is taken by another process: [^\n]*\n$/)
  assert.equal((await tidemark(project, 'start', '--port', 'http')).code, 2)
  const open = await tidemark(project, 'start', '--port', '0', '--host', '0.0.0.0')
  assert.equal(open.code, 1)
  assert.match(open.stderr, /^TM_HOST_UNPROTECTED: 0\.0\.0\.0 can be reached by other machines[^\n]*\n$/)

  writeFileSync(join(project, 'tidemark.config.ts'), 'export default { buckets: 6 }\n')
  const wrong = await tidemark(project, 'start', '--port', '0')
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /^TM_CONFIG: [^\n]*\n$/)
})
