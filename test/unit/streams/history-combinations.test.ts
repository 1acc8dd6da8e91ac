import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { columnValue } from '../../../features/values/column.ts'
import { encodeCell } from '../../../features/values/value-bytes.ts'
import { archiveFiles } from '../../../stores/tables/archive-files.ts'
import { openLmdbOnline } from '../../../stores/online/lmdb/open.ts'
import { ArchiveRole } from '../../../streams/archive/archive.ts'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { everyKeyedLog } from '../../../streams/every-keyed-log.ts'
import { FillRole } from '../../../streams/feeds/fill-role.ts'
import { forgetKey } from '../../../streams/forget/forget-key.ts'
import { ForgottenKey } from '../../../streams/forget/forgotten-key.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { ParkedViews } from '../../../streams/apply/parked-views.ts'
import { repairLogs } from '../../../streams/repair/repair-logs.ts'
import { keyedTopic } from '../../../streams/stream-context.ts'
import { decodeKeyedBlock } from '../../../streams/blocks/thinned-block.ts'
import { flipBit } from '../../support/damaged-log.ts'
import { Crash, faultyContext, Fuse } from '../../support/faulty-stores.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

/* Changes of history (forget, repair) where an entity has several keyed logs: source versions, and logs that were filled from others. */

const START = Date.UTC(2024, 5, 1)
const MINUTE = 60_000
const GONE = 'card-to-forget'
const CARDS = [GONE, 'card-1', 'card-2']
const SHOPS = ['a', 'b']

interface Shape {
  readonly amount: 'int32' | 'float64' | 'float32'
  /** Keyed by shop too. */
  readonly shops?: boolean
}

function definitions({ amount, shops = false }: Shape): string {
  const features = `features: { n: count().over('lifetime'), total: sum('amount').over('24h') }`
  return `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const shop = entity('shop', { shop: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), shop: t.string(), amount: t.${amount}(), at: t.timestamp() }, eventTime: 'at' })
export const cards = featureView('cards', { entity: card, from: payments, ${features} })
export const by_card = featureService('by_card', { features: [cards.all()] })
${shops ? `export const sales = featureView('sales', { entity: shop, from: payments, ${features} })\nexport const by_shop = featureService('by_shop', { features: [sales.all()] })` : ''}
`
}

/** As many events as there are numbers, of all cards in turn; odd halves are refused while amounts are whole numbers. */
function events(clock: { readonly ms: number }, amounts: readonly number[], without: string | null) {
  return amounts
    .map((amount, i) => ({ card_id: CARDS[i % 3], shop: SHOPS[i % 2], amount, at: clock.ms - i * MINUTE }))
    .filter(({ card_id }) => card_id !== without)
}

/** A card log; then one by shop, filled from it; then a version with other types, which reads the topic again. With events in between. */
async function lived(context: TestContext, without: string | null): Promise<Platform> {
  const platform = await Platform.open(context, definitions({ amount: 'int32' }), { now: START })
  const send = async (amounts: readonly number[]): Promise<void> => {
    platform.clock.ms += MINUTE
    await platform.send('payments', events(platform.clock, amounts, without))
  }
  await send([1, 2, 3, 4.5, 5, 6])
  await send([7, 8.5, 9, 10])
  await platform.apply(definitions({ amount: 'int32', shops: true }))
  await platform.settle()
  await send([11, 12, 13, 14])
  await platform.apply(definitions({ amount: 'float64', shops: true }))
  await platform.settle()
  await send([15, 16.5, 17, 18])
  return platform
}

const VERSIONS = [
  definitions({ amount: 'float64', shops: true }),
  definitions({ amount: 'int32', shops: true }),
  definitions({ amount: 'float32', shops: true }),
]
const KEYED_LOGS = ['payments.card', 'payments.shop', 'payments.2.card', 'payments.2.shop']

async function served(platform: Platform): Promise<Record<string, string>> {
  const cells: Record<string, string> = {}
  for (const [service, column, keys] of [
    ['by_card', 'card_id', CARDS],
    ['by_shop', 'shop', SHOPS],
  ] as const) {
    const vectors = await platform.read(
      service,
      keys.map((key) => ({ [column]: key })),
    )
    vectors.forEach(({ values, statuses }, i) => {
      cells[`${service} ${keys[i]}`] = Buffer.concat(values.map((value, c) => encodeCell(value, statuses[c]))).toString(
        'hex',
      )
    })
  }
  return cells
}

/** Whatever version is asked for: one that was there, one that was there before, one that reads the topic now. */
async function assertAlike(platform: Platform, other: Platform): Promise<void> {
  for (const version of VERSIONS) {
    for (const each of [platform, other]) {
      each.clock.ms = Math.max(platform.clock.ms, other.clock.ms) + MINUTE
      await each.apply(version)
      await each.settle()
    }
    other.clock.ms = platform.clock.ms
    assert.deepEqual(await served(platform), await served(other), version)
  }
  assert.deepEqual((await platform.verify()).mismatches, [])
}

const gone = async ({ context }: Platform): Promise<ForgottenKey> =>
  new ForgottenKey(
    (await context.registry.entities()).find(({ name }) => name === 'card')!,
    [GONE],
  )

test('forget reaches the keyed logs of every source version and those that were filled: as if its events had never been', async (context) => {
  const platform = await lived(context, null)
  const never = await lived(context, GONE)
  const removed = await forgetKey(platform.context, await gone(platform), platform.clock.ms)
  // Two logs of version 1 have the 5 of its time that it took in, two of version 2 all 8.
  assert.equal(removed.events, 5 + 5 + 8 + 8)
  assert.equal(removed.archivedEvents, removed.events)
  assert.deepEqual([removed.sourceLines, removed.deadLetters], [8, 1])
  await assertAlike(platform, never)
  const again = await forgetKey(platform.context, await gone(platform), platform.clock.ms)
  assert.deepEqual([again.events, again.archivedEvents, again.sourceLines, again.deadLetters], [0, 0, 0, 0])
})

test('forget stops at a damaged block and has lost nothing else; once that is repaired it completes', async (context) => {
  const platform = await lived(context, null)
  const never = await lived(context, GONE)
  const { log } = platform.context
  const random = new Random(1)
  for (const topic of KEYED_LOGS.map(keyedTopic))
    for (const partition of [0, 1])
      if ((await log.endOffset(topic, partition)) > 0) await flipBit(log, random, topic, partition, 0)
  const forget = async (): Promise<unknown> => forgetKey(platform.context, await gone(platform), platform.clock.ms)
  await assert.rejects(forget, hasErrorCode('TM_BLOCK_UNREADABLE'))
  assert.ok((await repairLogs(platform.context, { mend: true })).every(({ remedy }) => remedy === 'restored'))
  await forget()
  await assertAlike(platform, never)
})

test('repair makes damaged blocks of source versions and of filled logs whole where they stood', async (context) => {
  const platform = await lived(context, null)
  const { log } = platform.context
  const random = new Random(2)
  const keyedLogs = await everyKeyedLog(platform.context.registry)
  const contentOf = (topic: string, value: Uint8Array): unknown => {
    const { source } = keyedLogs.find(({ name }) => keyedTopic(name) === topic)!
    const { length, origin, previous, columns, ...block } = decodeKeyedBlock(value, source.fields)
    const rows = Array.from({ length }, (_, row) => columns.map((column) => columnValue(column, row)))
    return {
      origin,
      previous,
      rows,
      times: [...block.eventTime],
      sequence: [...block.sequenceOffset, ...block.sequenceIndex],
    }
  }
  const damaged: { topic: string; partition: number; offset: number; content: unknown }[] = []
  for (const topic of KEYED_LOGS.map(keyedTopic))
    for (const partition of [0, 1])
      for (const { offset, value } of (await log.read(topic, partition, 0, 1 << 20)).slice(0, 1)) {
        damaged.push({ topic, partition, offset, content: contentOf(topic, value) })
        await flipBit(log, random, topic, partition, offset)
      }
  const before = await served(platform)
  const faults = await repairLogs(platform.context, { mend: true })
  assert.deepEqual(
    new Set(faults.map(({ keyedLog, remedy }) => `${keyedLog} ${remedy}`)),
    new Set(KEYED_LOGS.map((name) => `${name} restored`)),
  )
  for (const { topic, partition, offset, content } of damaged) {
    const [record] = await log.read(topic, partition, offset, 1)
    assert.deepEqual(contentOf(topic, record.value), content, `${topic}/${partition}, offset ${offset}`)
  }
  assert.deepEqual(await repairLogs(platform.context, { mend: true }), [])
  await platform.settle()
  assert.deepEqual(await served(platform), before)
})

/** The states that a replay from nothing gives, and those in the store. */
async function assertReplayed(platform: Platform, context: TestContext): Promise<void> {
  const online = await openLmdbOnline({ path: await temporaryFolder(context), now: () => platform.clock.ms })
  const fresh = { ...platform.context, online }
  const role = new ApplyRole(fresh)
  while ((await role.runOnce()) > 0);
  const found: string[][] = []
  for (const context of [platform.context, fresh]) {
    const states: string[] = []
    for (const { name, views } of await context.registry.keyedLogs())
      for (const { version } of views)
        for (let bucket = 0; bucket < context.buckets; bucket++)
          for await (const { key, state } of context.online.scan({ keyedLog: name, bucket }, version))
            states.push(
              [version, ...[key, state.open, state.sealed ?? []].map((part) => Buffer.from(part).toString('hex'))].join(
                ' ',
              ),
            )
    found.push(states.sort())
  }
  assert.ok(found[0].length > 0)
  assert.deepEqual(found[0], found[1])
  await online.close()
}

test('a backfill that is cut within an archive file goes on there: every event counts once', async (context) => {
  const platform = await Platform.open(context, definitions({ amount: 'int32' }), { now: START, partitions: 1 })
  const rows = 200_000
  const many = Array.from({ length: rows }, (_, i) => ({
    card_id: CARDS[i % 3],
    shop: 'a',
    amount: i % 100,
    at: START - i,
  }))
  await platform.import('payments', many)
  await platform.settle()
  const changed = definitions({ amount: 'int32' }).replace("over('24h')", "over('12h')")
  await platform.context.registry.apply(platform.define(changed), platform.clock.ms)
  const fuse = new Fuse(new Random(3))
  fuse.aim('flush', 1)
  const role = new ApplyRole(faultyContext(platform.context, fuse))
  await assert.rejects(async () => {
    while ((await role.runOnce()) > 0);
  }, Crash)
  const [{ name, views }] = await platform.context.registry.keyedLogs()
  const { incarnation = '' } = (await platform.context.log.topic(keyedTopic(name))) ?? {}
  const files = await archiveFiles(platform.context, { keyedLog: name, incarnation, partition: 0 })
  const buckets = Array.from({ length: 16 }, (_, bucket) => bucket)
  const version = views.map((view) => view.version)
  const markers = (await Promise.all(version.map((one) => platform.context.online.markers(name, buckets, one)))).flat()
  const cut = Math.max(...markers.map((marker) => marker?.nextOffset ?? 0))
  assert.ok(
    files.some(({ firstOffset, lastOffset }) => firstOffset < cut && cut <= lastOffset),
    `${cut} lies within no file`,
  )
  await platform.settle()
  const vectors = await platform.read(
    'by_card',
    CARDS.map((card_id) => ({ card_id })),
  )
  assert.equal(
    vectors.reduce((sum, { values }) => sum + Number(values[0]), 0),
    rows,
  )
  await assertReplayed(platform, context)
})

test('a view that was removed and comes back, within the grace or after it, has the events produced meanwhile', async (context) => {
  const both = definitions({ amount: 'int32', shops: true })
  // Of the card log another view is left; nothing is left of the shop log.
  const less = `${definitions({ amount: 'int32' }).replaceAll('by_card', 'other_by_card').replace("'cards'", "'other'")}`
  for (const graceMs of [0, 24 * 60 * MINUTE]) {
    const platform = await Platform.open(context, both, { now: START })
    const parked = new ParkedViews(platform.context, graceMs)
    const send = async (amounts: readonly number[]): Promise<void> => {
      platform.clock.ms += MINUTE
      await platform.send('payments', events(platform.clock, amounts, null))
    }
    await send([1, 2, 3, 4, 5, 6])
    await platform.apply(less)
    await platform.settle()
    await send([7, 8, 9])
    const dropped = [...(await parked.runOnce())]
    platform.clock.ms += 60 * MINUTE
    dropped.push(...(await parked.runOnce()))
    assert.equal(dropped.length, graceMs === 0 ? 2 : 0)
    await send([10, 11, 12])
    await platform.apply(both)
    await platform.settle()
    await send([13])
    const cards = await platform.read(
      'by_card',
      CARDS.map((card_id) => ({ card_id })),
    )
    assert.deepEqual(
      cards.map(({ values }) => values),
      [
        [5, 1 + 4 + 7 + 10 + 13],
        [4, 2 + 5 + 8 + 11],
        [4, 3 + 6 + 9 + 12],
      ].map(([n, total]) => [n, BigInt(total)]),
    )
    const shops = await platform.read(
      'by_shop',
      SHOPS.map((shop) => ({ shop })),
    )
    assert.deepEqual(
      shops.map(({ values }) => values[0]),
      [8, 5],
    )
    assert.deepEqual((await platform.verify()).mismatches, [])
    await assertReplayed(platform, context)
  }
})

test('a source version that is killed again and again while it reads its topic has every event once', async (context) => {
  const random = new Random(runSeed('version killed'))
  const platform = await lived(context, null)
  const twin = await lived(context, null)
  let kills = 0
  await platform.context.registry.apply(platform.define(VERSIONS[2]), platform.clock.ms)
  for (let round = 0; round < 60 || kills === 0; round++) {
    const fuse = new Fuse(random)
    fuse.light(random.below(12))
    const faulty = faultyContext(platform.context, fuse)
    const roles = [new FillRole(faulty), new IngestRole(faulty), new ApplyRole(faulty), new ArchiveRole(faulty)]
    try {
      for (const role of roles) await role.runOnce()
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      kills++
    }
  }
  await twin.apply(VERSIONS[2])
  for (const each of [platform, twin]) await each.settle()
  assert.deepEqual(await served(platform), await served(twin))
  await assertAlike(platform, twin)
})
