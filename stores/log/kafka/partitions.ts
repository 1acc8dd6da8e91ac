import { setTimeout as sleep } from 'node:timers/promises'
import { deleteRecordsV2, listOffsetsV7 } from '@platformatic/kafka'
import type { Connection } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import { isKafkaError } from './cluster.ts'
import type { KafkaCluster } from './cluster.ts'
import { fetchRecords } from './fetch.ts'
import type { Fetched } from './fetch.ts'
import { scanRecords } from './record-scan.ts'
import type { ScannedRecord } from './record-scan.ts'

const ADMIN_MS_MAX = 15_000
const LATEST = -1n
const EARLIEST = -2n
const COMMITTED = 1
const UNCOMMITTED = 0
const READABLE_MS_MAX = 30_000
const READABLE_PAUSE_MS = 1

/** How far before the end the last record is looked for at first, and how much farther each time: what is no record is small. */
const LOOK_BACK = 2
const LOOK_BACK_GROWTH = 16
const LOOK_BYTES = 1 << 20
/** Of one fetch, whatever is asked for. */
const FETCH_BYTES_MAX = 64 << 20

const NOTHING: Fetched = {
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  aborted: [],
  records: Buffer.alloc(0),
}

/** A partition by its topic's name in the cluster. */
export interface Place {
  readonly topic: string
  readonly partition: number
}

export interface PlacedRecords {
  readonly records: ScannedRecord[]
  /** Behind the last record, and behind what follows it and is none, as far as all is committed. */
  readonly nextOffset: number
}

interface KnownEnd {
  readonly topicId: string
  /** Everything before this offset was looked at. */
  readonly stable: number
  readonly end: number
}

/** Reads partitions of a cluster: what is committed, by offset; and where they begin and end. */
export class KafkaPartitions {
  readonly #cluster: KafkaCluster
  readonly #ends = new Map<string, KnownEnd>()

  constructor(cluster: KafkaCluster) {
    this.#cluster = cluster
  }

  /** At least one record if there is one, about `maxBytes` of values. `topicId`: of this creation of the topic only. TM_LOG_TOPIC_UNKNOWN. */
  async read(place: Place, fromOffset: number, maxBytes: number, topicId?: string): Promise<PlacedRecords> {
    const records: ScannedRecord[] = []
    let bytes = 0
    for (let next = fromOffset; ;) {
      const fetched = await this.#fetch(place, next, maxBytes, topicId)
      const stable = fetched.lastStableOffset
      // A batch that was trimmed in part comes whole.
      const from = Math.max(next, fetched.logStartOffset)
      const behind = scanRecords(fetched.records, from, fetched.aborted, (record) => {
        if (record.offset >= stable) return false
        records.push(record)
        bytes += record.value?.length ?? 0
        return bytes < maxBytes
      })
      const reached = Math.max(fromOffset, Math.min(behind, stable))
      // Markers and aborted records may fill a whole fetch.
      if (records.length > 0 || behind <= next || behind >= stable) return { records, nextOffset: reached }
      next = behind
    }
  }

  /** Behind the last record: markers of transactions and what was aborted do not count. */
  async end(place: Place): Promise<number> {
    const [stable] = await this.offsets([place], 'stable')
    return this.#endBefore(place, stable)
  }

  async #endBefore(place: Place, stable: number): Promise<number> {
    const topicId = (await this.#cluster.topic(place.topic))?.id ?? ''
    const held = this.#ends.get(nameOf(place))
    const known = held?.topicId === topicId && held.stable <= stable ? held : null
    if (known?.stable === stable) return known.end
    const end = (await this.#lookBack(place, stable, known?.stable ?? 0)) ?? known?.end
    const found = end ?? (await this.offsets([place], 'start'))[0]
    this.#ends.set(nameOf(place), { topicId, stable, end: found })
    return found
  }

  /** Behind the last record before `stable`, if there is one at `least` or later. */
  async #lookBack(place: Place, stable: number, least: number): Promise<number | null> {
    let to = stable
    for (let step = LOOK_BACK; to > least; step *= LOOK_BACK_GROWTH) {
      const from = Math.max(least, to - step)
      let last: number | null = null
      for (let next = from; next < to;) {
        const { records, nextOffset } = await this.read(place, next, LOOK_BYTES)
        const inside = records.filter(({ offset }) => offset < to)
        last = inside.at(-1)?.offset ?? last
        if (nextOffset <= next) break
        next = nextOffset
      }
      if (last !== null) return last + 1
      to = from
    }
    return null
  }

  /** Whether no record stands at an offset or behind it. */
  async endsAt(place: Place, offset: number): Promise<boolean> {
    if ((await this.offsets([place], 'stable'))[0] < offset) return false
    return (await this.read(place, offset, 1)).records.length === 0
  }

  /** Waits until everything before these offsets can be read: a transaction that was committed becomes so a little later. TM_LOG_UNAVAILABLE. */
  async readable(befores: readonly (Place & { readonly before: number })[]): Promise<void> {
    const until = performance.now() + READABLE_MS_MAX
    for (let left = befores; ;) {
      const stable = await this.offsets(left, 'stable')
      left = left.filter(({ before }, i) => stable[i] < before)
      if (left.length === 0) return
      if (performance.now() > until)
        throw failStore(
          'TM_LOG_UNAVAILABLE',
          `Kafka does not finish a transaction in partition ${left[0].partition} of ${left[0].topic}: it is tried again`,
        )
      await sleep(READABLE_PAUSE_MS)
    }
  }

  /**
   * The ends at one moment: when no transaction is open. What a transaction wrote that can be read somewhere was written everywhere before, so where nothing is written that cannot be
   * read, all of it can.
   */
  async endsAtOnce(places: readonly Place[]): Promise<number[]> {
    const until = performance.now() + READABLE_MS_MAX
    for (;;) {
      const stable = await this.offsets(places, 'stable')
      const written = await this.offsets(places, 'written')
      if (stable.every((offset, i) => offset === written[i]))
        return Promise.all(places.map((place, i) => this.#endBefore(place, stable[i])))
      if (performance.now() > until)
        throw failStore('TM_LOG_UNAVAILABLE', 'transactions are open in Kafka all the time: it is tried again')
      await sleep(READABLE_PAUSE_MS)
    }
  }

  /** Of each partition: where it begins, where what is committed ends, or where what is written does. TM_LOG_TOPIC_UNKNOWN. */
  async offsets(places: readonly Place[], which: 'start' | 'stable' | 'written'): Promise<number[]> {
    if (places.length === 0) return []
    const what = places.length === 1 ? `partition ${places[0].partition} of ${places[0].topic}` : 'offsets'
    return this.#cluster.retrying(what, async () => {
      const byLeader = new Map<Connection, number[]>()
      for (const [i, { topic, partition }] of places.entries()) {
        const { connection } = await this.#cluster.leader(topic, partition)
        byLeader.set(connection, [...(byLeader.get(connection) ?? []), i])
      }
      const offsets: number[] = []
      await Promise.all(
        [...byLeader].map(async ([connection, own]) => {
          const found = await this.#listOffsets(
            connection,
            own.map((i) => places[i]),
            which,
          )
          own.forEach((i, at) => (offsets[i] = found[at]))
        }),
      )
      return offsets
    })
  }

  async #listOffsets(connection: Connection, places: readonly Place[], which: string): Promise<number[]> {
    const timestamp = which === 'start' ? EARLIEST : LATEST
    const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([name, own]) => ({
      name,
      partitions: own.map(({ partition }) => ({ partitionIndex: partition, currentLeaderEpoch: -1, timestamp })),
    }))
    try {
      const answer = await listOffsetsV7.api.async(
        connection,
        -1,
        which === 'written' ? UNCOMMITTED : COMMITTED,
        topics,
      )
      const found = new Map(
        answer.topics.flatMap(({ name, partitions }) =>
          partitions.map(({ partitionIndex, offset }) => [`${name}/${partitionIndex}`, Number(offset)]),
        ),
      )
      return places.map((place) => found.get(nameOf(place)) ?? -1)
    } catch (error) {
      if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw this.unknown(places[0])
      throw error
    }
  }

  /** Drops records below an offset. Returns how many offsets went. */
  async trim(place: Place, before: number): Promise<number> {
    const { topic, partition } = place
    const [start] = await this.offsets([place], 'start')
    const [stable] = await this.offsets([place], 'stable')
    const to = Math.min(before, stable)
    if (to <= start) return 0
    await this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection } = await this.#cluster.leader(topic, partition)
      const partitions = [{ partitionIndex: partition, offset: BigInt(to) }]
      await deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], ADMIN_MS_MAX)
    })
    return to - start
  }

  async #fetch(place: Place, offset: number, maxBytes: number, topicId?: string): Promise<Fetched> {
    const { topic, partition } = place
    return this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection, topic: known } = await this.#cluster.leader(topic, partition)
      if (topicId !== undefined && known.id !== topicId) {
        if ((await this.#cluster.topic(topic, true))?.id !== topicId) throw this.unknown(place)
      }
      try {
        const from = { topicId: topicId ?? known.id, partition, offset }
        return await fetchRecords(connection, from, Math.min(Math.max(maxBytes, 1), FETCH_BYTES_MAX))
      } catch (error) {
        if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw this.unknown(place)
        if (!isKafkaError(error, 'OFFSET_OUT_OF_RANGE')) throw error
        const [start] = await this.offsets([place], 'start')
        return offset < start ? this.#fetch(place, start, maxBytes, topicId) : NOTHING
      }
    })
  }

  unknown({ topic, partition }: Place): Error {
    this.#cluster.forget(topic)
    return failStore('TM_LOG_TOPIC_UNKNOWN', `there is no partition ${partition} of topic ${topic} in Kafka`, {
      details: { topic, partition },
    })
  }
}

const nameOf = ({ topic, partition }: Place): string => `${topic}/${partition}`
