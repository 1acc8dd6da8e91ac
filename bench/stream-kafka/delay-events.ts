import { Partitioners } from 'kafkajs'
import { quietClient } from '../../test/services/kafka-cluster.ts'
import { Random } from '../../test/support/random.ts'

const SEED = 1
const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** At most this late: within the grace of the peer's windows. */
const LATE_MS_MAX = 5 * MINUTE
const MESSAGES_PER_SEND = 4000
export const SOURCE_PARTITIONS = 8

export const WINDOWS = [
  { name: '1h', lengthMs: HOUR, hopMs: 5 * MINUTE },
  { name: '24h', lengthMs: 24 * HOUR, hopMs: HOUR },
] as const

/** Delays of stations, in order of arrival. */
export interface DelayEvents {
  readonly stations: readonly string[]
  readonly stationOf: Int32Array
  readonly delay: Int32Array
  readonly ts: Float64Array
  /** All event times are before; a whole hour. */
  readonly end: number
}

/** `perHour`: how dense they are in event time, which ends at `end`. Stations differ in how often they come. */
export function delayEvents(count: number, stations: number, perHour: number, end: number): DelayEvents {
  const random = new Random(SEED)
  const begin = Math.floor(end - (count / perHour) * HOUR)
  const events = {
    stations: Array.from({ length: stations }, (_, i) => `S${String(i).padStart(5, '0')}`),
    stationOf: new Int32Array(count),
    delay: new Int32Array(count),
    ts: new Float64Array(count),
    end,
  }
  for (let i = 0; i < count; i++) {
    events.stationOf[i] = Math.floor(stations * Math.min(random.next(), random.next()))
    events.delay[i] = random.below(200) - 20
    events.ts[i] = Math.max(begin, Math.floor(begin + ((end - begin) * i) / count) - random.below(LATE_MS_MAX))
  }
  return events
}

/** Appends the events from number `from` on to a topic as a Java producer would: keyed by station, so that its events are in one partition, in order. */
export async function produceDelays(
  brokers: readonly string[],
  topic: string,
  events: DelayEvents,
  [from, to]: readonly [number, number] = [0, events.ts.length],
): Promise<void> {
  const producer = quietClient(brokers).producer({ createPartitioner: Partitioners.DefaultPartitioner })
  await producer.connect()
  try {
    for (let first = from; first < to; first += MESSAGES_PER_SEND) {
      const messages: { key: string; value: string }[] = []
      for (let i = first; i < Math.min(first + MESSAGES_PER_SEND, to); i++)
        messages.push({ key: events.stations[events.stationOf[i]], value: delayJson(events, i) })
      await producer.send({ topic, messages })
    }
  } finally {
    await producer.disconnect()
  }
}

function delayJson({ stations, stationOf, delay, ts }: DelayEvents, i: number): string {
  const distance = 100 + ((i * 7919) % 2400)
  return `{"station":"${stations[stationOf[i]]}","destination":"${stations[(i * 31) % stations.length]}","distance":${distance},"delay":${delay[i]},"ts":${ts[i]}}`
}

export async function createDelaysTopic(brokers: readonly string[], topic: string): Promise<void> {
  const admin = quietClient(brokers).admin()
  await admin.connect()
  try {
    await admin.createTopics({ topics: [{ topic, numPartitions: SOURCE_PARTITIONS, replicationFactor: 1 }] })
  } finally {
    await admin.disconnect()
  }
}

/** `<window> <end> <station>` → `count sum max`, of every window that has events and ends at `end` or later, as long as it was open then. */
export type WindowValues = Map<string, string>

export const windowName = (window: string, end: number, station: string): string => `${window} ${end} ${station}`

/** What every window must hold, computed in the obvious way: each over all events. */
export function expectedWindows(events: DelayEvents): WindowValues {
  const values: WindowValues = new Map()
  for (const { name, lengthMs, hopMs } of WINDOWS)
    for (let until = events.end; until < events.end + lengthMs; until += hopMs)
      for (const [station, value] of expectedWindow(events, until - lengthMs, until))
        values.set(windowName(name, until, station), value)
  return values
}

/** By station, of times from `from` to before `until`. */
function expectedWindow(events: DelayEvents, from: number, until: number): [string, string][] {
  const { stations, stationOf, delay, ts } = events
  const cells = stations.map(() => ({ count: 0, sum: 0, max: -Infinity }))
  for (let i = 0; i < ts.length; i++) {
    if (ts[i] < from || ts[i] >= until) continue
    const cell = cells[stationOf[i]]
    cell.count++
    cell.sum += delay[i]
    cell.max = Math.max(cell.max, delay[i])
  }
  return cells.flatMap(({ count, sum, max }, i) => (count === 0 ? [] : [[stations[i], `${count} ${sum} ${max}`]]))
}

/** Fails with the first that differs. */
export function assertSameWindows(who: string, found: WindowValues, expected: WindowValues): void {
  if (found.size !== expected.size) throw new Error(`${who} has ${found.size} windows, expected ${expected.size}`)
  for (const [at, value] of expected)
    if (found.get(at) !== value) throw new Error(`${who}: window ${at} is ${found.get(at)}, expected ${value}`)
}
