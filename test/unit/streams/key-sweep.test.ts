import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storedNewestTau } from '../../../features/kernel/state-encoding.ts'
import { valueToJson } from '../../../features/values/json-values.ts'
import { readExpiredKeys } from '../../../streams/apply/expired-keys.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { KeyedPartition } from '../../../streams/apply/keyed-partition.ts'
import { BothWays } from '../../support/both-ways.ts'
import type { Cells } from '../../support/both-ways.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.UTC(2024, 0, 1)
/** Of the view `day`: its ttl of 2 days and its longest hop. */
const REACH = { hour: HOUR + HOUR / 60, day: 2 * DAY + HOUR / 4 }

const DEFINITIONS = `import { count, decayedSum, entity, featureService, featureView, first, last, latest, max, stream, sum, t, valueCounts } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const place = entity('place', { x: t.int32(), y: t.int64() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), x: t.int32(), y: t.int64(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at',
})
const features = {
  n: count().over('1h'), total: sum('amount').over('1h', { hop: '1min' }), first: first('amount').over('30m'), most: max('amount').over('1h'),
}
export const hour = featureView('hour', { entity: card, from: payments, features })
export const day = featureView('day', { entity: card, from: payments, ttl: '2d',
  features: { n: count().over('24h'), last: last('amount').over('24h'), counts: valueCounts('amount').over('24h'), decayed: decayedSum('amount', { halfLife: '1h' }).over('24h') } })
export const ever = featureView('ever', { entity: card, from: payments, features: { n: count().over('lifetime'), newest: latest('amount'), total: sum('amount').over('1h') } })
export const places = featureView('places', { entity: place, from: payments, where: (e) => e.amount > 2, features })
export const service = featureService('svc', { features: [hour.all(), day.all(), ever.all(), places.all()] })
`

/** The partitions of one process: what they hold in memory outlives a sweep. */
class Process {
  readonly #platform: Platform
  readonly #random: Random
  #partitions: KeyedPartition[] = []

  constructor(platform: Platform, random: Random) {
    this.#platform = platform
    this.#random = random
  }

  /** Another process takes over. */
  async claim(): Promise<void> {
    const { context } = this.#platform
    this.#partitions = []
    for (const keyedLog of await context.registry.keyedLogs())
      for (let number = 0; number < context.partitions; number++)
        this.#partitions.push(await KeyedPartition.claim(context, keyedLog, number))
  }

  async apply(): Promise<void> {
    const ingest = new IngestRole(this.#platform.context)
    while ((await ingest.runOnce()) > 0);
    for (const partition of this.#partitions) while ((await partition.runOnce()) > 0);
  }

  /** Until all states were looked at. */
  async sweep(): Promise<number> {
    let deleted = 0
    for (const partition of this.#partitions)
      for (;;) {
        const some = await partition.sweep(this.#platform.clock.ms, 1 + this.#random.below(4))
        if (some === null) break
        deleted += some
      }
    return deleted
  }
}

async function newestTaus(platform: Platform, view: string): Promise<number[]> {
  const keyedLogs = await platform.context.registry.keyedLogs()
  const taus: number[] = []
  for (const { name, views } of keyedLogs)
    for (const { plan, version } of views)
      for (let bucket = 0; plan.name === view && bucket < platform.context.buckets; bucket++)
        for await (const { state } of platform.context.online.scan({ keyedLog: name, bucket }, version))
          taus.push(storedNewestTau(state.open))
  return taus
}

test(
  'expired keys are deleted; values before and after are the same, also with late events later, and equal export and verification',
  { timeout: 120_000 },
  async (context) => {
    const random = new Random(runSeed('key sweep'))
    const platform = await Platform.open(context, DEFINITIONS, { now: START })
    const both = new BothWays(platform, 'svc')
    const entities = Array.from({ length: 12 }, (_, i) => ({ card_id: `c-${i}`, x: i % 3, y: BigInt(i) << 40n }))
    const cellsOf = async (): Promise<Map<string, Cells>> => {
      const cells = new Map<string, Cells>()
      for (const entity of entities)
        cells.set(entity.card_id, await both.at(platform.clock.ms, { ...entity, y: Number(entity.y) }))
      return cells
    }
    const process = new Process(platform, random)
    await process.claim()
    let deleted = 0
    let dense = START
    for (let round = 0; round < 12; round++) {
      platform.clock.ms += random.pick([HOUR / 2, 3 * HOUR, DAY, 2 * DAY, 3 * DAY + 1, 5 * DAY])
      const event = (entity: (typeof entities)[number], at: number) => ({
        ...entity,
        amount: random.below(1000) / 8,
        at,
      })
      const now = platform.clock.ms
      // Late by up to ten days, on time, or from the future.
      const lateness = [0, 0, random.below(HOUR), random.below(3 * DAY), random.below(10 * DAY), -DAY]
      const events = Array.from({ length: random.below(25) }, () =>
        event(random.pick(entities.slice(1)), now - random.pick(lateness)),
      )
      // So many in a day that the older ones are stored apart; and one more next to the newest of them, when the key is gone.
      if (round % 5 === 1) {
        dense = now - DAY
        for (let i = 0; i < 150; i++) events.push(event(entities[0], dense - i * 9 * 60_000))
      } else if (round % 5 > 2 || random.below(2) === 0) events.push(event(entities[0], dense + 1))
      await platform.produce(
        'payments',
        events.map(({ y, ...event }) => ({ ...event, y: Number(y) })),
      )
      if (random.below(4) === 0) await process.claim()
      if (random.below(3) === 0) deleted += await process.sweep()
      await process.apply()
      // What arrived in this millisecond is visible to a training row from the next on.
      platform.clock.ms++
      const before = await cellsOf()
      deleted += await process.sweep()
      assert.deepEqual(await cellsOf(), before)
      for (const view of ['hour', 'day'] as const)
        for (const tau of await newestTaus(platform, view)) assert.ok(tau >= platform.clock.ms - REACH[view] - DAY)
    }
    // At the end, whatever went before: nobody is heard of for longer than any window reaches.
    platform.clock.ms += 10 * DAY
    deleted += await process.sweep()
    for (const view of ['hour', 'day', 'places']) assert.deepEqual(await newestTaus(platform, view), [], view)
    const counted = await readExpiredKeys(platform.context.metadata)
    assert.ok(deleted > 0 && (counted.hour ?? 0) > 0 && (counted.places ?? 0) > 0, valueToJson(deleted))
    assert.equal(counted.ever, undefined)
    await both.check()
  },
)
