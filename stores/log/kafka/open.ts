import { failStore } from '../../errors.ts'
import type {
  AppendResult,
  Log,
  LogRecord,
  LogWatch,
  Reading,
  TopicAppend,
  TopicInfo,
  TopicOptions,
  TopicPartition,
} from '../log.ts'
import { kafkaAddress } from './address.ts'
import { KafkaCluster } from './cluster.ts'
import type { ClusterTopic } from './cluster.ts'
import { GroupProducer } from './group-producer.ts'
import { KafkaPartitions } from './partitions.ts'
import type { PlacedRecords } from './partitions.ts'
import { floorOf } from './produce.ts'
import { KafkaProducer } from './producer.ts'
import { SettledTimes } from './settled-times.ts'
import { clusterName, foreignName, isForeign, portName, settledName } from './topic-names.ts'
import { deleteTopic, topicOrNew } from './topics.ts'
import { KafkaLogWatch } from './watch.ts'

/** A settled time is as old as this at most; where nothing has come for long, a tenth of that. */
const SETTLED_MS = 1000
const SETTLED_MS_MAX = 15_000
const QUIET_SHARE = 10

export interface KafkaLogOptions {
  /** See `kafkaAddress`. */
  readonly url: string
  /** Epoch ms: of this host, which is taken to be in step with the brokers. */
  readonly now: () => number
  /** Topics of one group are appended to by one process at a time, and times are settled for all of them; null: of none. */
  readonly groupOf?: (topic: string) => string | null
}

/** TM_CONFIG_LOG, TM_LOG_UNAVAILABLE. */
export async function openKafkaLog({ url, now, groupOf = () => null }: KafkaLogOptions): Promise<Log> {
  const { brokers, deployment, options } = kafkaAddress(url)
  const cluster = new KafkaCluster(brokers, 'tidemark', options)
  const log = new KafkaLog(cluster, { deployment, now, groupOf })
  try {
    await cluster.topics()
  } catch (error) {
    await log.close()
    throw error
  }
  return log
}

/** A group of topics, as this process appends to it. */
interface Group {
  readonly producer: GroupProducer
  readonly settled: SettledTimes
  /** The settled time that was seen last, and when, by `performance.now()`. */
  seen: { readonly offset: number; readonly at: number } | null
}

interface Naming {
  readonly deployment: string
  readonly now: () => number
  readonly groupOf: (topic: string) => string | null
}

class KafkaLog implements Log {
  readonly checkpoints = null
  readonly isRewritable = false
  readonly #cluster: KafkaCluster
  readonly #partitions: KafkaPartitions
  readonly #naming: Naming
  readonly #producer: KafkaProducer
  readonly #groups = new Map<string, Group>()
  /** Topics of others that were asked for, by their names in the cluster. */
  readonly #foreign = new Set<string>()
  #closed = false

  constructor(cluster: KafkaCluster, naming: Naming) {
    this.#cluster = cluster
    this.#partitions = new KafkaPartitions(cluster)
    this.#naming = naming
    this.#producer = new KafkaProducer(cluster, naming.now)
  }

  foreignTopic(topic: string): string {
    return foreignName(topic)
  }

  async createTopic(name: string, { partitions }: TopicOptions): Promise<TopicInfo> {
    const inCluster = this.#named(name)
    if (isForeign(name))
      return infoOf(name, await topicOrNew(this.#cluster, inCluster, { partitions: -1, isForeign: true }))
    const held = await topicOrNew(this.#cluster, inCluster, { partitions })
    if (held.leaders.length !== partitions)
      throw failStore(
        'TM_LOG_TOPIC_MISMATCH',
        `topic ${inCluster} has ${held.leaders.length} partitions, expected ${partitions}: set partitions back, or use other topics`,
        { details: { topic: inCluster, expected: partitions, found: held.leaders.length } },
      )
    return infoOf(name, held)
  }

  async topic(name: string): Promise<TopicInfo | null> {
    const found = await this.#cluster.topic(this.#named(name), true)
    return found === null ? null : infoOf(name, found)
  }

  async listTopics(): Promise<TopicInfo[]> {
    const found: TopicInfo[] = []
    for (const topic of await this.#cluster.topics()) {
      const name = portName(this.#naming.deployment, topic.name)
      if (name !== null) found.push(infoOf(name, topic))
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async deleteTopic(name: string): Promise<void> {
    await deleteTopic(this.#cluster, this.#named(name))
  }

  async append(topic: string, partition: number, values: readonly Uint8Array[]): Promise<AppendResult> {
    const [result] = await this.appendAll([{ topic, partition, values }])
    return result
  }

  /** Those of one group are one atomic change. */
  async appendAll(appends: readonly TopicAppend[]): Promise<AppendResult[]> {
    const placed = appends.map((append) => ({ ...append, topic: this.#named(append.topic) }))
    for (const { topic, partition } of placed)
      await this.#cluster.retrying(`partition ${partition} of ${topic}`, () => this.#cluster.leaderOf(topic, partition))
    const groups = new Set(appends.flatMap(({ topic }) => this.#naming.groupOf(topic) ?? []))
    if (groups.size > 1) throw new Error(`one append to topics of ${[...groups].join(', ')}, expected one group`)
    const [group = appends.find(({ ifEnd }) => ifEnd !== undefined)?.topic] = groups
    return group === undefined ? this.#producer.appendEach(placed) : this.#group(group).producer.appendTogether(placed)
  }

  rewrite(topic: string): Promise<void> {
    return Promise.reject(
      failStore(
        'TM_LOG_REWRITE',
        `records of topic ${this.#named(topic)} in Kafka cannot be changed where they stand`,
        {
          details: { topic },
        },
      ),
    )
  }

  trim(topic: string, partition: number, before: number): Promise<number> {
    return this.#partitions.trim({ topic: this.#named(topic), partition }, before)
  }

  async read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<LogRecord[]> {
    const place = { topic: this.#named(topic), partition }
    return recordsOf(topic, await this.#partitions.read(place, fromOffset, maxBytes))
  }

  async readOn(
    { topic, partition, incarnation }: TopicPartition,
    fromOffset: number,
    maxBytes: number,
  ): Promise<Reading> {
    const place = { topic: this.#named(topic), partition }
    const read = await this.#partitions.read(place, fromOffset, maxBytes, incarnation)
    return { records: recordsOf(topic, read), nextOffset: read.nextOffset }
  }

  endOffset(topic: string, partition: number): Promise<number> {
    return this.#partitions.end({ topic: this.#named(topic), partition })
  }

  endOffsets(places: readonly { readonly topic: string; readonly partition: number }[]): Promise<number[]> {
    return this.#partitions.endsAtOnce(places.map((place) => ({ ...place, topic: this.#named(place.topic) })))
  }

  async startOffset(topic: string, partition: number): Promise<number> {
    const [start] = await this.#partitions.offsets([{ topic: this.#named(topic), partition }], 'start')
    return start
  }

  watch(): LogWatch {
    return new KafkaLogWatch(this.#cluster, this.#partitions, async () => {
      const { deployment } = this.#naming
      const isWatched = ({ name }: ClusterTopic): boolean =>
        portName(deployment, name) !== null || this.#foreign.has(name)
      return (await this.#cluster.topics()).filter(isWatched)
    })
  }

  now(): number {
    return this.#naming.now()
  }

  async settledTime(topic: string, { fresh = false }: { readonly fresh?: boolean } = {}): Promise<number> {
    const name = this.#naming.groupOf(topic)
    if (name === null) throw new Error(`${topic} is of no group: no time is settled for it`)
    const group = this.#group(name)
    const last = fresh ? null : await group.settled.last()
    if (last !== null) {
      const now = performance.now()
      if (group.seen?.offset !== last.offset) group.seen = { offset: last.offset, at: now }
      const quietMs = (last.time - last.quietSince) / QUIET_SHARE
      if (now - group.seen.at < Math.min(SETTLED_MS_MAX, Math.max(SETTLED_MS, quietMs))) return last.time
    }
    return group.producer.settle()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#cluster.close()
  }

  #group(name: string): Group {
    const held = this.#groups.get(name)
    if (held !== undefined) return held
    const { deployment, now } = this.#naming
    const [cluster, partitions] = [this.#cluster, this.#partitions]
    const settled = new SettledTimes(cluster, partitions, this.#named(settledName(name)))
    const producer = new GroupProducer({ cluster, partitions, settled, now }, `${deployment}.${name}`)
    const group = { producer, settled, seen: null }
    this.#groups.set(name, group)
    return group
  }

  #named(name: string): string {
    if (isForeign(name)) this.#foreign.add(clusterName('', name))
    return clusterName(this.#naming.deployment, name)
  }
}

function infoOf(name: string, { id, leaders }: ClusterTopic): TopicInfo {
  return { name, incarnation: id, partitions: leaders.length }
}

function recordsOf(topic: string, { records }: PlacedRecords): LogRecord[] {
  const isOwn = !isForeign(topic)
  return records.map(({ offset, timestamp, key, value, schemaId }) => ({
    offset,
    appendTime: isOwn ? Math.max(timestamp, floorOf(key)) : timestamp < 0 ? NaN : timestamp,
    value: value ?? new Uint8Array(0),
    ...(schemaId === null ? {} : { schemaId }),
  }))
}
