import { createTopicsV7, deleteRecordsV2, deleteTopicsV6, describeConfigsV4, listOffsetsV7 } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import type { AppendResult, Log, LogRecord, LogWatch, TopicAppend, TopicInfo, TopicOptions } from '../log.ts'
import { kafkaAddress } from './address.ts'
import { isKafkaError, KafkaCluster, Passing } from './cluster.ts'
import type { ClusterTopic } from './cluster.ts'
import { fetchRecords } from './fetch.ts'
import type { Fetched } from './fetch.ts'
import { KafkaProducer } from './producer.ts'
import { KafkaLogWatch } from './watch.ts'
import { scanRecords } from './record-scan.ts'

const ADMIN_MS_MAX = 15_000
const LATEST = -1n
const EARLIEST = -2n
const READ_COMMITTED = 1
const TOPIC_RESOURCE = 2

/** What a topic of Tidemark's must be: the time of a record is the broker's, and no record goes by itself. */
const SETTINGS: Readonly<Record<string, string>> = {
  'message.timestamp.type': 'LogAppendTime',
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
}

const NOTHING: Fetched = {
  highWatermark: -1,
  lastStableOffset: -1,
  logStartOffset: -1,
  aborted: [],
  records: Buffer.alloc(0),
}

export interface KafkaLogOptions {
  /** See `kafkaAddress`. */
  readonly url: string
  /** Epoch ms: of this host, which is taken to be in step with the brokers. */
  readonly now: () => number
}

/** TM_CONFIG_LOG, TM_LOG_UNAVAILABLE. */
export async function openKafkaLog({ url, now }: KafkaLogOptions): Promise<Log> {
  const { brokers, options } = kafkaAddress(url)
  const cluster = new KafkaCluster(brokers, 'tidemark', options)
  const log = new KafkaLog(cluster, now)
  try {
    await cluster.topics()
  } catch (error) {
    await log.close()
    throw error
  }
  return log
}

class KafkaLog implements Log {
  readonly checkpoints = null
  readonly #cluster: KafkaCluster
  readonly #now: () => number
  readonly #producer: KafkaProducer
  /** By lock. */
  readonly #transactional = new Map<string, KafkaProducer>()
  #closed = false

  constructor(cluster: KafkaCluster, now: () => number) {
    this.#cluster = cluster
    this.#now = now
    this.#producer = new KafkaProducer(cluster, null, now)
  }

  async createTopic(name: string, { partitions }: TopicOptions): Promise<TopicInfo> {
    const held = (await this.#cluster.topic(name)) ?? (await this.#make(name, partitions))
    if (held.leaders.length !== partitions)
      throw failStore(
        'TM_LOG_TOPIC_MISMATCH',
        `topic ${name} has ${held.leaders.length} partitions, expected ${partitions}: set partitions back, or use other topics`,
        { details: { topic: name, expected: partitions, found: held.leaders.length } },
      )
    return infoOf(held)
  }

  async #make(name: string, numPartitions: number): Promise<ClusterTopic> {
    const configs = Object.entries(SETTINGS).map(([setting, value]) => ({ name: setting, value }))
    const asked = { name, numPartitions, replicationFactor: -1, assignments: [], configs }
    await this.#cluster.retrying(`the creation of topic ${name}`, async () => {
      try {
        await createTopicsV7.api.async(await this.#cluster.controller(), [asked], ADMIN_MS_MAX, false)
      } catch (error) {
        if (!isKafkaError(error, 'TOPIC_ALREADY_EXISTS')) throw error
      }
    })
    // Brokers learn of it one by one.
    return this.#cluster.retrying(`topic ${name}`, async () => {
      const made = await this.#cluster.topic(name, true)
      if (made === null || made.leaders.some((leader) => leader < 0)) throw new Passing(`${name} is being made`)
      await this.#refuseSettings(name)
      return made
    })
  }

  /** TM_LOG_SETTING: somebody made the topic otherwise. */
  async #refuseSettings(name: string): Promise<void> {
    const { results } = await describeConfigsV4.api.async(
      await this.#cluster.controller(),
      [{ resourceType: TOPIC_RESOURCE, resourceName: name, configurationKeys: Object.keys(SETTINGS) }],
      false,
      false,
    )
    for (const { name: setting, value } of results[0].configs)
      if (SETTINGS[setting] !== value)
        throw failStore(
          'TM_LOG_SETTING',
          `topic ${name} has ${setting}=${value ?? ''}, expected ${SETTINGS[setting]}: set it with kafka-configs`,
          { details: { topic: name, setting, expected: SETTINGS[setting], found: value } },
        )
  }

  async topic(name: string): Promise<TopicInfo | null> {
    const found = await this.#cluster.topic(name, true)
    return found === null ? null : infoOf(found)
  }

  async listTopics(): Promise<TopicInfo[]> {
    return (await this.#cluster.topics()).map(infoOf).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async deleteTopic(name: string): Promise<void> {
    await this.#cluster.retrying(`the deletion of topic ${name}`, async () => {
      try {
        await deleteTopicsV6.api.async(await this.#cluster.controller(), [{ name }], ADMIN_MS_MAX)
      } catch (error) {
        if (!isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
      }
    })
    await this.#cluster.retrying(`the deletion of topic ${name}`, async () => {
      if ((await this.#cluster.topic(name, true)) !== null) throw new Passing(`${name} is being deleted`)
    })
  }

  async append(topic: string, partition: number, values: readonly Uint8Array[]): Promise<AppendResult> {
    const [result] = await this.appendAll([{ topic, partition, values }])
    return result
  }

  async appendAll(appends: readonly TopicAppend[]): Promise<AppendResult[]> {
    const guards = appends.filter(({ ifEnd }) => ifEnd !== undefined)
    for (const { topic, partition } of appends) await this.#known(topic, partition)
    if (guards.length === 0) return this.#producer.appendEach(appends)
    const lock = guards[0].topic
    const producer = this.#transactional.get(lock) ?? new KafkaProducer(this.#cluster, `tidemark.${lock}`, this.#now)
    this.#transactional.set(lock, producer)
    return producer.appendTogether(appends, {
      isAt: (topic, partition, offset) => this.#endsAt(topic, partition, offset),
      holds: async (topic, partition, offset) => (await this.read(topic, partition, offset, 1))[0]?.offset === offset,
      readable: (topic, partition, before) =>
        this.#cluster.retrying(`the end of a transaction in partition ${partition} of ${topic}`, async () => {
          if ((await this.endOffset(topic, partition)) < before) throw new Passing('not yet readable')
        }),
    })
  }

  /** Whether no record stands at an offset or behind it. */
  async #endsAt(topic: string, partition: number, offset: number): Promise<boolean> {
    if ((await this.#offset(topic, partition, LATEST)) < offset) return false
    return (await this.read(topic, partition, offset, 1)).length === 0
  }

  rewrite(topic: string): Promise<void> {
    return Promise.reject(
      failStore('TM_LOG_REWRITE', `records of topic ${topic} in Kafka cannot be changed where they stand`, {
        details: { topic },
      }),
    )
  }

  async trim(topic: string, partition: number, before: number): Promise<number> {
    const start = await this.startOffset(topic, partition)
    const to = Math.min(before, await this.#offset(topic, partition, LATEST))
    if (to <= start) return 0
    await this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection } = await this.#cluster.leader(topic, partition)
      const partitions = [{ partitionIndex: partition, offset: BigInt(to) }]
      await deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], ADMIN_MS_MAX)
    })
    return to - start
  }

  async read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<LogRecord[]> {
    const records: LogRecord[] = []
    let bytes = 0
    for (let next = fromOffset; ;) {
      const fetched = await this.#fetch(topic, partition, next, maxBytes)
      const stable = fetched.lastStableOffset
      // A batch that was trimmed in part comes whole.
      const from = Math.max(next, fetched.logStartOffset)
      const behind = scanRecords(fetched.records, from, fetched.aborted, ({ offset, timestamp, value }) => {
        if (offset >= stable) return false
        records.push({ offset, appendTime: timestamp, value: value ?? new Uint8Array(0) })
        bytes += records[records.length - 1].value.length
        return bytes < maxBytes
      })
      // Markers and aborted records may fill a whole fetch.
      if (records.length > 0 || behind <= next || behind >= stable) return records
      next = behind
    }
  }

  async #fetch(topic: string, partition: number, offset: number, maxBytes: number): Promise<Fetched> {
    return this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection, topic: known } = await this.#cluster.leader(topic, partition)
      try {
        const asked = { topicId: known.id, partition, offset, maxBytes: Math.max(maxBytes, 1), maxWaitMs: 0 }
        return await fetchRecords(connection, asked)
      } catch (error) {
        if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw this.#unknown(topic, partition)
        if (!isKafkaError(error, 'OFFSET_OUT_OF_RANGE')) throw error
        const start = await this.startOffset(topic, partition)
        return offset < start ? this.#fetch(topic, partition, start, maxBytes) : NOTHING
      }
    })
  }

  endOffset(topic: string, partition: number): Promise<number> {
    return this.#offset(topic, partition, LATEST)
  }

  startOffset(topic: string, partition: number): Promise<number> {
    return this.#offset(topic, partition, EARLIEST)
  }

  /** Of what is committed. */
  async #offset(topic: string, partition: number, timestamp: bigint): Promise<number> {
    return this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection } = await this.#cluster.leader(topic, partition)
      try {
        const { topics } = await listOffsetsV7.api.async(connection, -1, READ_COMMITTED, [
          { name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] },
        ])
        return Number(topics[0].partitions[0].offset)
      } catch (error) {
        if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw this.#unknown(topic, partition)
        throw error
      }
    })
  }

  watch(): LogWatch {
    return new KafkaLogWatch(() => this.#ends())
  }

  /** The ends of all partitions, as text. */
  async #ends(): Promise<string> {
    const topics = await this.#cluster.topics()
    const ends = topics.flatMap(({ name, leaders }) =>
      leaders.map(async (_, partition) => `${name}/${partition}=${await this.endOffset(name, partition)}`),
    )
    return (await Promise.all(ends)).sort().join(' ')
  }

  now(): number {
    return this.#now()
  }

  settledTime(): Promise<number> {
    return Promise.reject(new Error('not yet'))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#cluster.close()
  }

  async #known(topic: string, partition: number): Promise<void> {
    await this.#cluster.retrying(`partition ${partition} of ${topic}`, () => this.#cluster.leader(topic, partition))
  }

  #unknown(topic: string, partition: number): Error {
    this.#cluster.forget(topic)
    return failStore('TM_LOG_TOPIC_UNKNOWN', `there is no partition ${partition} of topic ${topic} in Kafka`, {
      details: { topic, partition },
    })
  }
}

function infoOf({ name, id, leaders }: ClusterTopic): TopicInfo {
  return { name, incarnation: id, partitions: leaders.length }
}
