import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openLmdbOnline } from '../../../stores/online/lmdb/open.ts'
import type { BucketFlush, FlushOutcome, OnlineStore } from '../../../stores/online/online-store.ts'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { bucketsOf } from '../../../streams/apply/partition-worker.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { allStates } from '../../support/all-states.ts'
import { CARD_SPEND } from '../../support/card-spend.ts'
import { temporaryFolder } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const ROUNDS = Number(process.env.TIDEMARK_RESUME_ROUNDS ?? 6)

/** Flushes as a store does whose buckets are written one by one: a crash leaves some buckets flushed and others not. */
function crashing(online: OnlineStore, random: Random): OnlineStore {
  const flush = async (flushes: readonly BucketFlush[]): Promise<FlushOutcome[]> => {
    const survivors = random.below(3) > 0 ? flushes : random.shuffle(flushes).slice(0, random.below(flushes.length))
    const outcomes = await online.flush(survivors)
    if (survivors.length < flushes.length) throw new Error('crash between the buckets of a flush')
    return outcomes
  }
  return new Proxy(online, {
    get(target, name) {
      if (name === 'flush') return flush
      const member = Reflect.get(target, name, target) as unknown
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

async function applyAll(context: StreamContext): Promise<void> {
  const role = new ApplyRole(context)
  while ((await role.runOnce()) > 0);
}

async function markerOffsets({ online, ...context }: StreamContext, partition: number): Promise<number[]> {
  const markers = await online.markers('payments.card', bucketsOf({ online, ...context }, partition))
  return markers.map((marker) => marker?.nextOffset ?? -1)
}

test('a flush advances the markers of the buckets with events; the others follow where the log ends', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: 1 })
  const role = new ApplyRole(platform.context)
  await role.runOnce()
  await platform.produce('payments', [{ card_id: 'a', amount: 1, paid_at: platform.clock.ms }])
  await new IngestRole(platform.context).runOnce()
  assert.equal(await role.runOnce(), 1)
  const after = await markerOffsets(platform.context, 0)
  assert.deepEqual(
    after.filter((offset) => offset > 0),
    [1],
  )
  assert.equal(await role.runOnce(), 0)
  assert.deepEqual(new Set(await markerOffsets(platform.context, 0)), new Set([1]))
})

test('held events are flushed by settle, and an owner that was taken over stops without an error', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: 1 })
  const stale = new ApplyRole(platform.context)
  const send = async (): Promise<void> => {
    await platform.produce('payments', [{ card_id: 'a', amount: 1, paid_at: platform.clock.ms }])
    await new IngestRole(platform.context).runOnce()
  }
  await send()
  assert.equal(await stale.runOnce({ hold: true }), 1)
  assert.equal((await allStates(platform.context)).size, 0)
  await stale.settle()
  assert.equal((await allStates(platform.context)).size, 2)
  await send()
  assert.equal(await stale.runOnce({ hold: true }), 1)
  await applyAll(platform.context)
  const expected = await allStates(platform.context)
  await stale.settle()
  assert.deepEqual(await allStates(platform.context), expected)
})

test('a crash between buckets leaves markers that differ; the next owner drops what each bucket has: bytes as if nothing had happened', async (context) => {
  const seed = runSeed('resume with unequal markers')
  let crashes = 0
  let unequal = 0
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(seed + round)
    const platform = await Platform.open(context, CARD_SPEND, { partitions: random.pick([1, 2, 4]) })
    const crashy = { ...platform.context, online: crashing(platform.context.online, random) }
    const ingest = new IngestRole(platform.context)
    let role = new ApplyRole(crashy)
    for (let step = 0; step < 25; step++) {
      platform.clock.ms += random.below(1_200_000)
      const events = Array.from({ length: random.below(9) }, () => ({
        card_id: `c-${random.below(40)}`,
        amount: random.pick([0.1, 0.2, 1e16, -3]),
        paid_at: platform.clock.ms - random.pick([0, 0, random.below(90_000_000)]),
      }))
      await platform.produce('payments', events)
      await ingest.runOnce()
      if (random.below(3) === 0) continue
      try {
        await role.runOnce()
      } catch {
        crashes++
        role = new ApplyRole(crashy)
      }
      if (new Set(await markerOffsets(platform.context, 0)).size > 1) unequal++
    }
    await applyAll(platform.context)
    const online = await openLmdbOnline({ path: await temporaryFolder(context), now: () => platform.clock.ms })
    await applyAll({ ...platform.context, online })
    const expected = await allStates({ ...platform.context, online })
    assert.ok(expected.size > 10)
    assert.deepEqual(await allStates(platform.context), expected, `round ${round} of seed ${seed}`)
    await online.close()
    await platform.close()
  }
  assert.ok(crashes > 0 && unequal > 0, `${crashes} crashes, markers differed ${unequal} times`)
})
