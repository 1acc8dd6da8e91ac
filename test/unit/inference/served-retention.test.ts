import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { readServed } from '../../../inference/served-log.ts'
import { servedExtent, trimServed } from '../../../inference/served-retention.ts'
import { openLmdbLog } from '../../../stores/log/lmdb/open.ts'
import type { Log } from '../../../stores/log/log.ts'
import { temporaryFolder } from '../../support/folders.ts'

const DAY = 86_400_000
const START = Date.UTC(2024, 0, 1)

async function logOf(context: TestContext, days: number, perDay: number): Promise<{ log: Log; clock: { ms: number } }> {
  const clock = { ms: START }
  const log = await openLmdbLog({ path: join(await temporaryFolder(context), 'log'), now: () => clock.ms })
  context.after(() => log.close())
  await log.createTopic('served', { partitions: 1 })
  for (let day = 0; day < days; day++, clock.ms += DAY)
    await log.append(
      'served',
      0,
      Array.from({ length: perDay }, () => new Uint8Array(100)),
    )
  return { log, clock }
}

async function trimAll(log: Log, keepMs: number, keepBytes: number): Promise<number> {
  let dropped = 0
  for (let some = -1; some !== 0;) dropped += some = await trimServed(log, { keepMs, keepBytes })
  return dropped
}

test('the oldest served vectors go by age, and by size; what is left is read as before', async (context) => {
  const { log, clock } = await logOf(context, 10, 700)
  assert.deepEqual(await servedExtent(log), { records: 7000, bytes: 700_000, since: START })
  assert.equal(await trimAll(log, 20 * DAY, 1e9), 0)
  // Days 0…9; it is day 10 now: those of day 3 are 7 days old to the millisecond, and stay.
  assert.equal(await trimAll(log, 7 * DAY, 1e9), 3 * 700)
  assert.equal((await servedExtent(log)).since, START + 3 * DAY)
  assert.equal(await trimAll(log, 7 * DAY, 1e9), 0)
  assert.equal(await trimAll(log, 7 * DAY, 100_000), 4900 - 1000)
  assert.deepEqual(await servedExtent(log), { records: 1000, bytes: 100_000, since: START + 8 * DAY })
  let read = 0
  for await (const records of readServed(log)) read += records.length
  assert.equal(read, 1000)
  clock.ms += 100 * DAY
  assert.equal(await trimAll(log, DAY, 1e9), 1000)
  assert.deepEqual(await servedExtent(log), { records: 0, bytes: 0, since: null })
  assert.equal((await log.append('served', 0, [new Uint8Array(1)])).baseOffset, 7000)
})

test('more than goes in one call goes in several; no log at all is none', async (context) => {
  const { log } = await logOf(context, 1, 12_000)
  assert.equal(await trimServed(log, { keepMs: 1, keepBytes: 1e9 }), 5000)
  assert.equal(await trimAll(log, 1, 1e9), 7000)
  const empty = await openLmdbLog({ path: join(await temporaryFolder(context), 'log'), now: () => START })
  context.after(() => empty.close())
  assert.equal(await trimServed(empty, { keepMs: 1, keepBytes: 1 }), 0)
  assert.deepEqual(await servedExtent(empty), { records: 0, bytes: 0, since: null })
})
