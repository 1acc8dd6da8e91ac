import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushJournalReader } from '../../../stores/online/read-flush-journal.ts'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { KeyedPartition } from '../../../streams/apply/keyed-partition.ts'
import { bucketsOf } from '../../../streams/apply/partition-worker.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { allStates } from '../../support/all-states.ts'
import { CARD_SPEND } from '../../support/card-spend.ts'
import { Platform } from '../../support/platform.ts'

const PARTITIONS = 4
const CARDS = Array.from({ length: 60 }, (_, i) => `c-${i}`)

async function send(platform: Platform): Promise<void> {
  platform.clock.ms += 1000
  const events = CARDS.map((card_id) => ({ card_id, amount: 1, paid_at: platform.clock.ms }))
  await platform.produce('payments', events)
  await new IngestRole(platform.context).runOnce()
}

/** Calls of an object's methods, by name; `before` each is awaited. */
function counting<T extends object>(target: T, calls: string[], before: (name: string) => Promise<void>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]): Promise<unknown> => {
        await before(String(name))
        calls.push(String(name))
        return (await Reflect.apply(value, target, args)) as unknown
      }
    },
  })
}

/** Newest time and offset that each bucket's journal tells of, and what its marker shows. */
async function journalled(context: StreamContext): Promise<[journal: unknown, markers: unknown]> {
  const { online } = context
  const newest = new Map<number, string>()
  const shown = new Map<number, string>()
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const journal = new FlushJournalReader(context, 'payments.card', partition)
    for await (const { buckets, epoch, nextOffset, flushTime } of journal.records())
      for (const bucket of buckets) newest.set(bucket, `${epoch} ${nextOffset} ${flushTime}`)
    const buckets = bucketsOf(context, partition)
    for (const [i, marker] of (await online.markers('payments.card', buckets)).entries())
      if (marker !== null) shown.set(buckets[i], `${marker.epoch} ${marker.nextOffset} ${marker.flushTime}`)
  }
  const touched = [...shown].filter(([bucket]) => newest.has(bucket))
  return [new Map(touched.map(([bucket]) => [bucket, newest.get(bucket)])), new Map(touched)]
}

test('one round flushes all partitions in one change of the store and one append to the journals', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: PARTITIONS })
  const calls: string[] = []
  const role = new ApplyRole({
    ...platform.context,
    log: counting(platform.context.log, calls, async () => {}),
    online: counting(platform.context.online, calls, async () => {}),
  })
  await role.runOnce()
  await send(platform)
  calls.length = 0
  assert.equal(await role.runOnce(), CARDS.length)
  const writes = calls.filter((name) => ['flush', 'append', 'appendAll'].includes(name))
  assert.deepEqual(writes, ['flush', 'appendAll'])
  const [journal, markers] = await journalled(platform.context)
  assert.deepEqual(journal, markers)
})

for (const when of ['flush', 'appendAll'] as const)
  test(`a partition taken over before the round’s ${when} is let go alone; the others are stored and written down`, async (context) => {
    const platform = await Platform.open(context, CARD_SPEND, { partitions: PARTITIONS })
    let taken: KeyedPartition | null = null
    let armed = false
    const takeOver = async (name: string): Promise<void> => {
      // Taken over after the flush, it is seen when the markers are read to be written down.
      if (!armed || name !== (when === 'flush' ? 'flush' : 'markers')) return
      armed = false
      const [keyedLog] = await platform.context.registry.keyedLogs()
      taken = await KeyedPartition.claim(platform.context, keyedLog, 1)
    }
    const online = counting(platform.context.online, [], takeOver)
    const role = new ApplyRole({ ...platform.context, online })
    await role.runOnce()
    await send(platform)
    armed = true
    assert.equal(await role.runOnce(), CARDS.length + 1, 'the events, and one partition that was let go')
    assert.ok(taken !== null)
    const offsets = await Promise.all(
      [0, 1, 2, 3].map(async (partition) => {
        const markers = await platform.context.online.markers('payments.card', bucketsOf(platform.context, partition))
        return Math.max(...markers.map((marker) => marker?.nextOffset ?? 0))
      }),
    )
    assert.deepEqual(offsets, when === 'flush' ? [1, 0, 1, 1] : [1, 1, 1, 1])
    while ((await role.runOnce()) > 0);
    const states = await allStates(platform.context)
    assert.equal(states.size, 2 * CARDS.length)
    await send(platform)
    while ((await role.runOnce()) > 0);
    const [journal, markers] = await journalled(platform.context)
    assert.deepEqual(journal, markers)
  })

test('a store that fails a round’s flush leaves nothing half known: all partitions are claimed anew, and every event counts once', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: PARTITIONS })
  let failures = 2
  const online = counting(platform.context.online, [], async (name) => {
    if (name === 'flush' && failures-- > 0) throw new Error('the disk is gone')
  })
  const role = new ApplyRole({ ...platform.context, online })
  await send(platform)
  await role.runOnce().catch(() => {})
  await role.runOnce().catch(() => {})
  await send(platform)
  while ((await role.runOnce()) > 0);
  const services = await platform.context.registry.serviceAliases()
  const service = await platform.context.registry.service(services[0].registered)
  const rows = await platform.reader.read(
    service,
    CARDS.map((card_id) => ({ card_id })),
    [],
  )
  assert.deepEqual(new Set(rows.map(({ values }) => values[0])), new Set([2]))
})
