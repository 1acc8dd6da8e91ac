import { ConnectionPool, findCoordinatorV4, findErrorBy, metadataV12 } from '@platformatic/kafka'
import type { Connection, ConnectionOptions } from '@platformatic/kafka'
import { setTimeout as sleep } from 'node:timers/promises'
import { failStore } from '../../errors.ts'

export interface Broker {
  readonly host: string
  readonly port: number
}

/** A topic as the cluster has it. */
export interface ClusterTopic {
  readonly name: string
  /** Another for a topic that was deleted and made again. */
  readonly id: string
  /** Node by partition; −1: it has no leader now. */
  readonly leaders: readonly number[]
}

/** How long an operation is tried again while the cluster says that it will pass. */
const RETRY_MS_MAX = 30_000
const PAUSE_MS_MIN = 5
const PAUSE_MS_MAX = 500
const TRANSACTION_COORDINATOR = 1

/** Connections to the brokers of a Kafka cluster, and who leads what. */
export class KafkaCluster {
  readonly #bootstrap: readonly Broker[]
  readonly #clientId: string
  readonly #options: ConnectionOptions
  #pool: ConnectionPool
  #brokers = new Map<number, Broker>()
  readonly #topics = new Map<string, ClusterTopic>()
  #controller = -1
  #closed = false

  constructor(bootstrap: readonly Broker[], clientId: string, options: ConnectionOptions) {
    this.#bootstrap = bootstrap
    this.#clientId = clientId
    this.#options = options
    this.#pool = this.newPool()
  }

  /** Connections apart from those that all others use: for requests that wait. The caller closes it. */
  newPool(): ConnectionPool {
    const pool = new ConnectionPool(this.#clientId, this.#options)
    pool.on('error', () => {})
    return pool
  }

  /** A topic, from what is known of it unless `fresh`; null: there is none. */
  async topic(name: string, fresh = false): Promise<ClusterTopic | null> {
    const held = this.#topics.get(name)
    if (held !== undefined && !fresh) return held
    await this.retrying(`the topic ${name}`, () => this.#refresh([name]))
    return this.#topics.get(name) ?? null
  }

  /** Every topic but the cluster's own. */
  async topics(): Promise<ClusterTopic[]> {
    return this.retrying('the topics', () => this.#refresh(null))
  }

  forget(name: string): void {
    this.#topics.delete(name)
  }

  /** A connection to the leader of a partition. TM_LOG_TOPIC_UNKNOWN. */
  async leader(name: string, partition: number): Promise<{ connection: Connection; topic: ClusterTopic }> {
    const { broker, topic } = await this.leaderOf(name, partition)
    return { connection: await this.#pool.get(broker), topic }
  }

  async leaderOf(name: string, partition: number): Promise<{ broker: Broker; topic: ClusterTopic }> {
    let topic = await this.topic(name)
    if (topic === null || topic.leaders[partition] === undefined || topic.leaders[partition] < 0)
      topic = await this.topic(name, true)
    if (topic === null || topic.leaders[partition] === undefined)
      throw failStore('TM_LOG_TOPIC_UNKNOWN', `there is no partition ${partition} of topic ${name} in Kafka`, {
        details: { topic: name, partition },
      })
    const broker = this.#brokers.get(topic.leaders[partition])
    if (broker === undefined) throw new Passing(`partition ${partition} of ${name} has no leader`)
    return { broker, topic }
  }

  async controller(): Promise<Connection> {
    if (this.#brokers.size === 0) await this.#refresh([])
    const broker = this.#brokers.get(this.#controller)
    if (broker === undefined) throw new Passing('the cluster has no controller')
    return this.#pool.get(broker)
  }

  /** The coordinator of a transactional id. */
  async coordinator(transactionalId: string): Promise<Connection> {
    const { coordinators } = await findCoordinatorV4.api.async(await this.#any(), TRANSACTION_COORDINATOR, [
      transactionalId,
    ])
    return this.#pool.get({ host: coordinators[0].host, port: coordinators[0].port })
  }

  /**
   * Runs an operation until it does not fail in a way that passes, with pauses that grow; what is known of the topics is asked anew in between. TM_LOG_UNAVAILABLE.
   */
  async retrying<T>(what: string, run: () => Promise<T>): Promise<T> {
    const until = performance.now() + RETRY_MS_MAX
    for (let pause = PAUSE_MS_MIN; ; pause = Math.min(2 * pause, PAUSE_MS_MAX)) {
      try {
        return await run()
      } catch (error) {
        if (!isPassing(error)) throw error
        if (hasCode(error, 'PLT_KFK_TIMEOUT')) await this.#reconnect()
        if (this.#closed || performance.now() > until)
          throw failStore(
            'TM_LOG_UNAVAILABLE',
            `Kafka does not answer for ${what} (${describe(error)}): it is tried again until it does`,
            { cause: error },
          )
        // A transaction ends within milliseconds; nothing has moved.
        if (isKafkaError(error, 'CONCURRENT_TRANSACTIONS')) pause = PAUSE_MS_MIN
        else this.#topics.clear()
        await sleep(pause)
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#pool.close()
  }

  /** An answer that comes after its time would be read as part of the next one. */
  async #reconnect(): Promise<void> {
    const old = this.#pool
    this.#pool = this.newPool()
    await old.close().catch(() => {})
  }

  async #any(): Promise<Connection> {
    return this.#pool.getFirstAvailable([...this.#brokers.values(), ...this.#bootstrap])
  }

  async #refresh(names: string[] | null): Promise<ClusterTopic[]> {
    const answer = await metadataOf(await this.#any(), names)
    this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    this.#controller = answer.controllerId
    for (const name of names ?? []) this.#topics.delete(name)
    const found: ClusterTopic[] = []
    for (const { errorCode, name, topicId, isInternal, partitions } of answer.topics) {
      if (errorCode !== 0 || name == null || isInternal) continue
      const leaders: number[] = []
      for (const { partitionIndex, leaderId } of partitions) leaders[partitionIndex] = leaderId
      const topic = { name, id: topicId, leaders }
      this.#topics.set(name, topic)
      found.push(topic)
    }
    return found
  }
}

type Metadata = Awaited<ReturnType<typeof metadataV12.api.async>>

/** The answer, whether or not some topics are unknown or without a leader. */
async function metadataOf(connection: Connection, names: string[] | null): Promise<Metadata> {
  try {
    return await metadataV12.api.async(connection, names, false)
  } catch (error) {
    const response = (error as { response?: Metadata }).response
    if (response?.topics === undefined) throw error
    return response
  }
}

/** Something that is not there now and will be. */
export class Passing extends Error {}

const PASSING = [
  // Of a coordinator whose transactional id is being taken over: asked again, it says what is the case.
  'UNKNOWN_SERVER_ERROR',
  'LEADER_NOT_AVAILABLE',
  'ELIGIBLE_LEADERS_NOT_AVAILABLE',
  'PREFERRED_LEADER_NOT_AVAILABLE',
  'LISTENER_NOT_FOUND',
  // Of a leader that does not know yet how far the one before it was.
  'OFFSET_NOT_AVAILABLE',
  'CORRUPT_MESSAGE',
  'NOT_LEADER_OR_FOLLOWER',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'COORDINATOR_LOAD_IN_PROGRESS',
  'COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'NOT_CONTROLLER',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'CONCURRENT_TRANSACTIONS',
  'THROTTLING_QUOTA_EXCEEDED',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
]

function isPassing(error: unknown): boolean {
  if (error instanceof Passing) return true
  if (isKafkaError(error, 'INVALID_RECORD')) return false
  if (PASSING.some((id) => isKafkaError(error, id))) return true
  return ['PLT_KFK_NETWORK', 'PLT_KFK_TIMEOUT'].some((code) => hasCode(error, code))
}

function hasCode(error: unknown, code: string): boolean {
  return findErrorBy(error as Error, 'code', code) !== null
}

/** The causes, each once: a client wraps what it met at every broker and every record. */
export function describe(error: unknown): string {
  const said = new Set<string>()
  const visit = (one: unknown): void => {
    if (!(one instanceof Error)) return
    const inner = [
      ...((one as { errors?: readonly unknown[] }).errors ?? []),
      ...(one.cause === undefined ? [] : [one.cause]),
    ]
    if (inner.length === 0) said.add((one as { apiId?: string }).apiId ?? one.message)
    inner.forEach(visit)
  }
  visit(error)
  return [...said].slice(0, 3).join('; ')
}

/** Whether Kafka answered with this error, by its name in the protocol. */
export function isKafkaError(error: unknown, id: string): boolean {
  return findErrorBy(error as Error, 'apiId', id) !== null
}
