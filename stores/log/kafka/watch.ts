import type { ConnectionPool } from '@platformatic/kafka'
import type { LogWatch } from '../log.ts'
import type { Broker, ClusterTopic, KafkaCluster } from './cluster.ts'
import type { KafkaPartitions } from './partitions.ts'
import { watchPartitions } from './fetch.ts'
import type { FetchPlace } from './fetch.ts'

/** A broker waits this long until something comes; it is asked again then. */
const FETCH_MS = 1000
/** How often new topics, and partitions with other leaders, are looked for. */
const TOPICS_MS = 1000
const FAILED_PAUSE_MS = 200

/**
 * Notices appends by fetches that wait at the brokers: one request per broker and second while nothing comes. What is appended while nobody waits is noticed by the next wait.
 */
export class KafkaLogWatch implements LogWatch {
  readonly #cluster: KafkaCluster
  readonly #partitions: KafkaPartitions
  readonly #topics: () => Promise<readonly ClusterTopic[]>
  readonly #pool: ConnectionPool
  /** Offset from which on something is new, by `<topic id>/<partition>`. */
  readonly #seen = new Map<string, number>()
  /** Under way, by broker; true: something came. Never rejects. */
  readonly #pending = new Map<string, Promise<boolean>>()
  #leaders = new Map<string, { readonly broker: Broker; readonly partitions: FetchPlace[] }>()
  #leadersAt = -Infinity
  #isChanged = false

  /** `topics`: those that are watched. */
  constructor(cluster: KafkaCluster, partitions: KafkaPartitions, topics: () => Promise<readonly ClusterTopic[]>) {
    this.#cluster = cluster
    this.#partitions = partitions
    this.#topics = topics
    this.#pool = cluster.newPool()
  }

  async mark(): Promise<void> {
    this.#isChanged = false
    if (this.#leadersAt > -Infinity) return
    await this.#cluster.retrying('the topics', () => this.#findLeaders())
    const places = (await this.#topics()).flatMap(({ name, id, leaders }) =>
      leaders.map((_, partition) => ({ topic: name, partition, at: `${id}/${partition}` })),
    )
    const ends = await this.#partitions.offsets(places, 'stable')
    places.forEach(({ at }, i) => this.#seen.set(at, ends[i]))
  }

  async wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#isChanged) return true
    if (signal?.aborted === true) return false
    let end: () => void = () => {}
    const ended = new Promise<boolean>((resolve) => (end = () => resolve(false)))
    const timer = setTimeout(end, timeoutMs)
    signal?.addEventListener('abort', end)
    const waiting = { isOver: false }
    try {
      return await Promise.race([ended, this.#untilChanged(waiting)])
    } finally {
      waiting.isOver = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
    }
  }

  close(): void {
    this.#leadersAt = -Infinity
    void this.#pool.close().catch(() => {})
  }

  /** What is under way when a wait is over is taken up by the next one. */
  async #untilChanged(waiting: { readonly isOver: boolean }): Promise<boolean> {
    while (!waiting.isOver) {
      if (performance.now() - this.#leadersAt > TOPICS_MS) await this.#findLeaders().catch(() => {})
      for (const [name, { broker, partitions }] of this.#leaders)
        if (!this.#pending.has(name)) this.#pending.set(name, this.#ask(name, broker, partitions))
      const waits = this.#pending.size === 0 ? [after(FAILED_PAUSE_MS)] : [...this.#pending.values()]
      if ((await Promise.race(waits)) || this.#isChanged) return true
    }
    return false
  }

  async #ask(name: string, broker: Broker, partitions: readonly FetchPlace[]): Promise<boolean> {
    try {
      const connection = await this.#pool.get(broker)
      const asked = partitions.map((one) => ({ ...one, offset: this.#seen.get(nameOf(one)) ?? 0 }))
      let isNew = false
      const found = await watchPartitions(connection, asked, FETCH_MS)
      for (const { topicId, partition, error, lastStableOffset: stableOffset } of found) {
        const at = nameOf({ topicId, partition })
        // Another leader, another topic, an offset that is no more: whoever waits looks for himself.
        if (error !== 0) this.#leadersAt = -Infinity
        if (error === 0 && stableOffset <= (this.#seen.get(at) ?? 0)) continue
        isNew = true
        if (stableOffset >= 0) this.#seen.set(at, stableOffset)
      }
      if (isNew) this.#isChanged = true
      return isNew
    } catch {
      // The broker is away: who waits looks now and then all the same.
      await after(FAILED_PAUSE_MS)
      return false
    } finally {
      this.#pending.delete(name)
    }
  }

  async #findLeaders(): Promise<void> {
    const leaders = new Map<string, { readonly broker: Broker; readonly partitions: FetchPlace[] }>()
    for (const topic of await this.#topics())
      for (const [partition, leader] of topic.leaders.entries()) {
        if (leader < 0) continue
        const { broker } = await this.#cluster.leaderOf(topic.name, partition)
        const name = `${broker.host}:${broker.port}`
        const own = leaders.get(name) ?? { broker, partitions: [] }
        leaders.set(name, own)
        own.partitions.push({ topicId: topic.id, partition, offset: 0 })
      }
    this.#leaders = leaders
    this.#leadersAt = performance.now()
  }
}

const nameOf = ({ topicId, partition }: Pick<FetchPlace, 'topicId' | 'partition'>): string => `${topicId}/${partition}`

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref())
}
