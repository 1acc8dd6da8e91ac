import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BothWays } from '../support/both-ways.ts'
import { hasErrorCode } from '../support/folders.ts'
import { Platform } from '../support/platform.ts'

/* Windows of other feature stores that were computed wrongly, or not at all. Each test names the failure and where it was seen. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const MIDNIGHT = Date.UTC(2024, 5, 1)

const readings = (features: string, name: string = 'meter_use'): string => `
import { count, entity, featureService, featureView, last, latest, max, mean, min, stream, sum, t } from 'tidemark'
export const meter = entity('meter', { meter_id: t.string() })
export const readings = stream('readings', {
  schema: { meter_id: t.string(), amount: t.float64().nullable(), at: t.timestamp() }, eventTime: 'at',
})
export const use = featureView('${name}', { entity: meter, from: readings, features: { ${features} } })
export const service = featureService('svc', { features: [use.all()] })
`
const reading = (amount: number | null, at: number) => ({ meter_id: 'm', amount, at })

/** Feast 0.66: extremes and deviations over tiled windows mixed partial results wrongly; 0.67: an empty window's mean was 0, and a peak stayed for ever where the window was no multiple of its hop. */
test('tiled window: extremes of both tiles count, a peak leaves with its window, an empty window is null', async (context) => {
  const platform = await Platform.open(
    context,
    readings(`max_1h: max('amount').over('1h', { hop: '5m' }), min_1h: min('amount').over('1h', { hop: '5m' }),
      mean_1h: mean('amount').over('1h', { hop: '5m' }), sum_1h: sum('amount').over('1h', { hop: '5m' }), ever: count().over('lifetime')`),
    { now: MIDNIGHT },
  )
  const both = new BothWays(platform, 'svc')
  for (const [amount, minute] of [
    [10, 1],
    [20, 6],
  ]) {
    platform.clock.ms = MIDNIGHT + minute * MINUTE
    await platform.send('readings', [reading(amount, platform.clock.ms)])
  }
  const at7 = await both.at(MIDNIGHT + 7 * MINUTE, { meter_id: 'm' })
  assert.equal(at7.meter_use__max_1h.value, 20)
  assert.equal(at7.meter_use__min_1h.value, 10)
  assert.equal(at7.meter_use__mean_1h.value, 15)
  await platform.send('readings', [reading(3, MIDNIGHT + 7 * MINUTE)])
  // At 01:10 the window begins at 00:10 exactly: all three are out.
  const after = await both.at(MIDNIGHT + 69 * MINUTE, { meter_id: 'm' })
  assert.equal(after.meter_use__max_1h.value, 20, 'the tile of 00:05 is whole until 01:10')
  const empty = await both.at(MIDNIGHT + 70 * MINUTE, { meter_id: 'm' })
  for (const name of ['max_1h', 'min_1h', 'mean_1h', 'sum_1h'])
    assert.deepEqual(empty[`meter_use__${name}`], { value: null, status: 'EMPTY_WINDOW' })
  assert.deepEqual(empty.meter_use__ever, { value: 3, status: 'PRESENT' })
  await both.check()
})

/** Feast 0.67 (measured): a 50 minute window over 20 minute hops kept old events for ever. */
test('window that is no multiple of its hop: refused by name, nothing is registered', async (context) => {
  await assert.rejects(
    Platform.open(context, readings(`odd: max('amount').over('50m', { hop: '20m' })`)),
    (error: Error) =>
      hasErrorCode('TM_DEFINITION_INVALID')(error) &&
      /feature odd of view meter_use.*50m is not a multiple of its hop/.test(error.message),
  )
})

/** Chronon's documents promise exact windows while its code rounds the tail to a hop. */
test('window tail: the event that the rounded tail lets in, and the one before it, are told apart at every millisecond of a hop', async (context) => {
  const platform = await Platform.open(
    context,
    readings(`n: count().over('1h', { hop: '20m' }), ever: count().over('lifetime')`),
    { now: MIDNIGHT },
  )
  const both = new BothWays(platform, 'svc')
  await platform.send('readings', [
    reading(1, MIDNIGHT - 1),
    reading(1, MIDNIGHT),
    reading(1, MIDNIGHT + 20 * MINUTE - 1),
    reading(1, MIDNIGHT + 20 * MINUTE),
  ])
  await platform.import('readings', [reading(1, MIDNIGHT - 20 * MINUTE)])
  platform.clock.ms = MIDNIGHT + 21 * MINUTE
  await platform.settle()
  // Sent at midnight, the two later events count from when they were received: τ = min(event time, arrival).
  const counts: unknown[] = []
  for (const t of [HOUR - 1, HOUR, HOUR + 1, HOUR + 20 * MINUTE - 1, HOUR + 20 * MINUTE])
    counts.push((await both.at(MIDNIGHT + t, { meter_id: 'm' })).meter_use__n.value)
  assert.deepEqual(counts, [5, 3, 3, 3, 0])
  await both.check()
})

/** Chalk bins the input time offline and not online, so a training time within a bucket gave another window than the request. */
test('spine times inside a bucket: the training row has the window of the request', async (context) => {
  const platform = await Platform.open(
    context,
    readings(`n_1h: count().over('1h', { hop: '15m' }), sum_2h: sum('amount').over('2h', { hop: '30m' }),
      n_5m: count().over('5m', { hop: '1ms' }), last_1h: last('amount').over('1h', { hop: '15m' })`),
    { now: MIDNIGHT },
  )
  const both = new BothWays(platform, 'svc')
  for (let i = 0; i < 40; i++) {
    platform.clock.ms = MIDNIGHT + i * 211_003
    await platform.send('readings', [reading(i / 10, platform.clock.ms - (i % 3) * 400_009)])
  }
  const from = platform.clock.ms + 1
  const edge = Math.ceil(from / (15 * MINUTE)) * 15 * MINUTE
  for (const t of [from, edge - 1, edge, edge + 1, edge + 7 * MINUTE + 3, edge + 15 * MINUTE - 1, edge + 15 * MINUTE])
    await both.at(t, { meter_id: 'm' })
  await both.check()
})

/** Feast on a local provider (0.67, measured): a mean over 24 h named like its column was materialised as the newest raw value. */
test('a feature named like its source column is the aggregation, not the column', async (context) => {
  const platform = await Platform.open(context, readings(`amount: mean('amount').over('24h')`, 'readings_view'), {
    now: MIDNIGHT,
  })
  const both = new BothWays(platform, 'svc')
  await platform.send('readings', [reading(1, MIDNIGHT), reading(2, MIDNIGHT), reading(6, MIDNIGHT)])
  const { readings_view__amount: amount } = await both.at(MIDNIGHT + MINUTE, { meter_id: 'm' })
  assert.deepEqual(amount, { value: 3, status: 'PRESENT' })
  await both.check()
})

/** The same defect's other half: what cannot be computed must be refused when it is registered, not when it is read. */
test('a declared window that means nothing is refused at apply', async (context) => {
  for (const bad of [
    `a: mean('amount')`,
    `a: mean('amount').over('1 week')`,
    `a: mean('amount').over('0h')`,
    `a: mean('amount').over('-1h')`,
    `a: mean('amount').over('1h', { hop: '2h' })`,
    `a: mean('amount').over('1h', { hop: 'lifetime' })`,
    `a: mean('meter_id').over('1h')`,
    `a: mean('missing').over('1h')`,
  ])
    await assert.rejects(Platform.open(context, readings(bad)), hasErrorCode('TM_DEFINITION_INVALID'), bad)
})
