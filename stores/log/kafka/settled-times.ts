import type { KafkaCluster } from './cluster.ts'
import type { KafkaPartitions } from './partitions.ts'
import type { PlacedAppend, PlacedResult } from './producer.ts'
import { topicOrNew } from './topics.ts'

/*
 * Settled times of a group of topics whose appends follow one another (`group-producer.ts`): a topic `settled.<group>` of one partition, whose last record counts. A record is JSON:
 *
 *   settled     every append of the group stamped earlier could be read before this was appended, and who appends after it stamps none earlier
 *   alone       nothing else was appended with it: that holds for its own append time too
 *   quietSince  append time of the first of an unbroken series of records that were alone: how long nothing else came
 */
interface SettledRecord {
  readonly settled: number
  readonly alone: boolean
  readonly quietSince: number
}

export interface Settled {
  readonly time: number
  readonly quietSince: number
  readonly offset: number
}

const READ_BYTES = 1 << 16
/** Segments of the smallest size that Kafka takes, so that trimming frees space. */
const SETTINGS = { 'segment.bytes': String(1 << 20) }
const TRIM_EVERY = 500
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class SettledTimes {
  readonly #cluster: KafkaCluster
  readonly #partitions: KafkaPartitions
  readonly #topic: string
  #appended = 0

  /** `topic`: its name in the cluster. */
  constructor(cluster: KafkaCluster, partitions: KafkaPartitions, topic: string) {
    this.#cluster = cluster
    this.#partitions = partitions
    this.#topic = topic
  }

  async create(): Promise<void> {
    await topicOrNew(this.#cluster, this.#topic, { partitions: 1, settings: SETTINGS })
  }

  /** The last; null: nobody ever asked for one. */
  async last(): Promise<Settled | null> {
    if ((await this.#cluster.topic(this.#topic)) === null) return null
    const place = { topic: this.#topic, partition: 0 }
    const end = await this.#partitions.end(place)
    if (end === 0) return null
    const { records } = await this.#partitions.read(place, end - 1, READ_BYTES)
    const last = records.at(-1)
    if (last === undefined) return null
    const { settled, alone, quietSince } = JSON.parse(decoder.decode(last.value ?? undefined)) as SettledRecord
    const time = alone ? Math.max(settled, last.timestamp) : settled
    return { time, quietSince: quietSince === 0 ? time : quietSince, offset: last.offset }
  }

  record(record: SettledRecord): PlacedAppend {
    return { topic: this.#topic, partition: 0, values: [encoder.encode(JSON.stringify(record))] }
  }

  /** After an append: what lies before it is of no more use. */
  async trim({ baseOffset }: PlacedResult): Promise<void> {
    if (++this.#appended % TRIM_EVERY === 0)
      await this.#partitions.trim({ topic: this.#topic, partition: 0 }, baseOffset)
  }
}
