import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { Platform, query } from '../support/platform.ts'
import { Random, runSeed } from '../support/random.ts'

/* A training row must not see what was not known at its time. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const FLIGHTS = resolve('node_modules/vega-datasets/data/flights-3m.parquet')
const SAMPLED = 4000

const DEFINITIONS = `
import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const airport = entity('airport', { origin: t.string() })
export const flights = stream('flights', {
  schema: { origin: t.string(), mark: t.float64(), scheduled: t.timestamp(), landed: t.timestamp() }, eventTime: 'scheduled',
})
export const view = featureView('seen', { entity: airport, from: flights, features: {
  marks: sum('mark').over('lifetime').default(0), n_24h: count().over('24h', { hop: '1m' }), total_24h: sum('mark').over('24h', { hop: '1m' }).default(0),
} })
export const service = featureService('svc', { features: [view.all()] })
`

interface Flight {
  readonly origin: string
  readonly mark: number
  readonly scheduled: number
  readonly landed: number
}

/** Exports the events as their own spine, by arrival and by event time. */
async function ownSpine(platform: Platform, flights: readonly Flight[]) {
  const spine = flights.map(({ origin, scheduled }) => ({ origin, timestamp: scheduled }))
  const byArrival = (await platform.export('svc', spine)).rows.map(({ values }) => values)
  const byEventTime = (await platform.export('svc', spine, 'event-time')).rows.map(({ values }) => values)
  return { byArrival, byEventTime }
}

async function imported(context: Parameters<typeof Platform.open>[0], flights: readonly Flight[]): Promise<Platform> {
  const now = Math.max(...flights.map(({ landed }) => landed)) + HOUR
  const platform = await Platform.open(context, DEFINITIONS, { now })
  assert.equal((await platform.import('flights', flights as never, 'landed')).accepted, flights.length)
  await platform.settle()
  platform.clock.ms += 10_000
  await platform.settle()
  return platform
}

test('events as their own spine: no row sees its own event unless that had arrived before, and each sees exactly what had', async (context) => {
  const random = new Random(runSeed('leakage'))
  const start = Date.UTC(2024, 0, 1)
  // Each event of an airport has a bit of its own, so that a sum names the events it holds.
  const flights = Array.from({ length: 200 }, (_, i) => {
    const scheduled = start + random.below(20) * HOUR + random.pick([0, 0, 1, random.below(HOUR)])
    const late = random.pick([0, 1, -1, -HOUR, random.below(5 * HOUR), random.below(MINUTE)])
    return { origin: `o${i % 5}`, mark: 2 ** Math.floor(i / 5), scheduled, landed: scheduled + late }
  })
  const platform = await imported(context, flights)
  const { byArrival, byEventTime } = await ownSpine(platform, flights)
  let leaks = 0
  flights.forEach(({ origin, mark, scheduled, landed }, i) => {
    const sees = (other: Flight): boolean => other.origin === origin && other.landed < scheduled
    const marks = flights.filter(sees).reduce((sum, other) => sum + other.mark, 0)
    assert.equal(byArrival[i].seen__marks, marks, `row ${i}`)
    const seesItself = Math.floor(marks / mark) % 2 === 1
    assert.equal(seesItself, landed < scheduled)
    const happened = flights.filter((other) => other.origin === origin && other.scheduled < scheduled)
    assert.equal(
      byEventTime[i].seen__marks,
      happened.reduce((sum, other) => sum + other.mark, 0),
      `row ${i} by event time`,
    )
    if (happened.some((other) => other.landed >= scheduled)) leaks++
  })
  const differing = byArrival.filter((row, i) => row.seen__marks !== byEventTime[i].seen__marks).length
  assert.ok(leaks > 20 && differing >= leaks, `${leaks} rows leak by event time, ${differing} differ`)
})

/** Delays of real flights are known when they land: joined by scheduled departure, most rows of a busy airport see flights that are still in the air. */
test(`real flights, ${SAMPLED} sampled: by arrival no row sees a flight in the air; by event time most do`, async (context) => {
  const rows = await query(
    `SELECT origin, delay::DOUBLE AS mark, epoch_ms(date) AS scheduled, epoch_ms(date) + ((delay + 30 + distance / 8) * 60000)::BIGINT AS landed
     FROM read_parquet('${FLIGHTS}') WHERE origin IN ('ATL', 'ORD', 'OAK') AND delay IS NOT NULL ORDER BY date, origin, delay, distance LIMIT ${SAMPLED}`,
  )
  const flights = rows.map(({ origin, mark, scheduled, landed }) => ({
    origin: String(origin),
    mark: Number(mark),
    scheduled: Number(scheduled),
    landed: Number(landed),
  }))
  assert.equal(flights.length, SAMPLED)
  const platform = await imported(context, flights)
  const { byArrival, byEventTime } = await ownSpine(platform, flights)
  let inTheAir = 0
  let differing = 0
  flights.forEach(({ origin, scheduled }, i) => {
    const from = Math.floor((scheduled - 24 * HOUR) / MINUTE) * MINUTE
    const known = flights.filter(
      (other) => other.origin === origin && other.landed < scheduled && other.scheduled >= from,
    )
    // τ = min(event time, arrival): a flight that landed before its scheduled departure counts when it landed.
    const counted = known.filter((other) => Math.min(other.scheduled, other.landed) >= from)
    assert.equal(byArrival[i].seen__n_24h, counted.length, `row ${i}`)
    assert.equal(
      byArrival[i].seen__total_24h,
      counted.reduce((sum, other) => sum + other.mark, 0),
      `row ${i}`,
    )
    if (
      flights.some(
        (other) =>
          other.origin === origin &&
          other.scheduled < scheduled &&
          other.scheduled >= from &&
          other.landed >= scheduled,
      )
    )
      inTheAir++
    if (byArrival[i].seen__n_24h !== byEventTime[i].seen__n_24h) differing++
  })
  console.log(
    `# ${inTheAir} of ${SAMPLED} rows would see flights in the air if joined by event time; ${differing} counts differ`,
  )
  assert.equal(differing, inTheAir)
  assert.ok(inTheAir > SAMPLED / 2)
})
