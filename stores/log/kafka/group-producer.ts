import { setTimeout as sleep } from 'node:timers/promises'
import { addPartitionsToTxnV3, endTxnV3 } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import type { AppendResult } from '../log.ts'
import { isKafkaError, Passing } from './cluster.ts'
import type { KafkaCluster } from './cluster.ts'
import type { KafkaPartitions } from './partitions.ts'
import type { ProducerId } from './produce.ts'
import { isSpent, newProducerId, produceAll } from './producer.ts'
import type { PlacedAppend, PlacedResult } from './producer.ts'
import type { Settled, SettledTimes } from './settled-times.ts'

const COURTESY_MS_MIN = 40
const COURTESY_MS_MAX = 640
const TAKEN_MS_MAX = 60_000
/** How often who appends also says what is settled, for those who ask. */
const PUBLISH_EVERY_MS = 250

const NOTHING: AppendResult = { baseOffset: -1, emptyFrom: -1, appendTime: -1 }

export interface GuardedAppend extends PlacedAppend {
  readonly ifEnd?: number
}

/** While nobody else has taken over. */
interface Held {
  readonly producer: ProducerId
  /** Ends that were looked at, by `<topic>/<partition>`: nobody else of the group appends there before taking over. */
  readonly ends: Map<string, number>
  /** Behind the last record that was appended, by the same: what follows it up to the next one are marks of transactions, or what was aborted. */
  readonly appended: Map<string, number>
  /** No append is stamped earlier; all that were can be read. */
  floor: number
  isSettledAsked: boolean
  publishedAt: number
}

export interface GroupStores {
  readonly cluster: KafkaCluster
  readonly partitions: KafkaPartitions
  readonly settled: SettledTimes
  /** Epoch ms. */
  readonly now: () => number
}

/**
 * Appends to a group of topics, one transaction after the other, whichever process makes them: a transactional id that belongs to the group. Who starts a producer of that name fences those
 * before and ends what they had begun; what is looked at after that stays as it is until the next one takes over. So the end of a partition, or the time before which nothing is stamped, holds
 * without any other lock.
 */
export class GroupProducer {
  readonly #stores: GroupStores
  readonly #transactionalId: string
  #held: Held | null = null
  /** How often in a row others took over before an append was through. */
  #fenced = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(stores: GroupStores, transactionalId: string) {
    this.#stores = stores
    this.#transactionalId = transactionalId
  }

  /**
   * All or nothing, if each conditional append is for the end of its partition. Readable when it resolves. TM_LOG_CONFLICT: an end is another. Where others take over it is tried again.
   */
  appendTogether(appends: readonly GuardedAppend[]): Promise<AppendResult[]> {
    return this.#inTurn(async (held) => {
      await this.#checkEnds(held, appends)
      const sent = appends.filter(({ values }) => values.length > 0)
      if (sent.length === 0) return appends.map(() => NOTHING)
      const publishes = held.isSettledAsked && performance.now() - held.publishedAt >= PUBLISH_EVERY_MS
      const said = publishes ? [this.#stores.settled.record({ settled: held.floor, alone: false, quietSince: 0 })] : []
      const results = await this.#transact(held, [...sent, ...said])
      if (publishes) {
        held.publishedAt = performance.now()
        await this.#stores.settled.trim(results.get(said[0])!)
      }
      return appends.map((append) => results.get(append) ?? NOTHING)
    })
  }

  /** A time as late as possible that is settled for the group (see `Log.settledTime`). */
  async settle(): Promise<number> {
    const { settled } = this.#stores
    await settled.create()
    return this.#inTurn(async (held) => {
      const before = await settled.last()
      const { floor } = held
      const record = settled.record({ settled: floor, alone: true, quietSince: quietSince(before, floor) })
      const results = await this.#transact(held, [record])
      held.isSettledAsked = true
      held.publishedAt = performance.now()
      await settled.trim(results.get(record)!)
      return held.floor
    })
  }

  async #transact(held: Held, sent: readonly PlacedAppend[]): Promise<Map<PlacedAppend, PlacedResult>> {
    const { cluster, partitions, now } = this.#stores
    const { producer, floor } = held
    let results: Map<PlacedAppend, PlacedResult> | null = null
    try {
      await this.#addPartitions(producer, sent)
      const transactionalId = this.#transactionalId
      results = await produceAll({ cluster, producer, transactionalId, time: Math.floor(now()), floor }, sent)
      await this.#end(producer)
    } catch (error) {
      this.#held = null
      // Nothing is committed before its end was asked for. A new start ends what is open, and waits for what was being ended: then it can be read, or never.
      this.#held = results === null && isSpent(error) ? null : await this.#begin()
      if (results === null) throw error
      const [[{ topic, partition }, { baseOffset }]] = results
      const { records } = await partitions.read({ topic, partition }, baseOffset, 1)
      if (records[0]?.offset !== baseOffset) throw new NotCommitted(error)
    }
    const ends = [...results].map(([{ topic, partition }, { end }]) => ({ topic, partition, before: end }))
    for (const { topic, partition } of ends) held.ends.delete(`${topic}/${partition}`)
    await partitions.readable(ends)
    for (const [append, result] of results) {
      const place = `${append.topic}/${append.partition}`
      held.floor = Math.max(held.floor, result.appendTime)
      results.set(append, { ...result, emptyFrom: held.appended.get(place) ?? result.baseOffset })
      held.appended.set(place, result.end)
    }
    return results
  }

  async #checkEnds({ ends }: Held, appends: readonly GuardedAppend[]): Promise<void> {
    for (const { topic, partition, ifEnd } of appends) {
      const place = `${topic}/${partition}`
      if (ifEnd === undefined || ends.get(place) === ifEnd) continue
      if (!(await this.#stores.partitions.endsAt({ topic, partition }, ifEnd))) throw conflict()
      ends.set(place, ifEnd)
    }
  }

  async #inTurn<T>(run: (held: Held) => Promise<T>): Promise<T> {
    const before = this.#turn
    const mine = (async () => {
      await before.catch(() => {})
      return this.#holding(run)
    })()
    this.#turn = mine
    return mine
  }

  /** What others fenced has appended nothing: it is run again, from its checks on. */
  async #holding<T>(run: (held: Held) => Promise<T>): Promise<T> {
    const until = performance.now() + TAKEN_MS_MAX
    for (;;) {
      if (this.#held === null && this.#fenced > 0) await sleep(courtesyMs(this.#fenced))
      try {
        const result = await run((this.#held ??= await this.#begin()))
        this.#fenced = 0
        return result
      } catch (error) {
        const isLost = isSpent(error) || error instanceof NotCommitted
        if (!isLost) throw error
        this.#held = null
        this.#fenced++
        if (performance.now() > until) throw conflict(error)
      }
    }
  }

  async #begin(): Promise<Held> {
    const { cluster, settled } = this.#stores
    const producer = await newProducerId(cluster, this.#transactionalId)
    const last = await settled.last()
    const floor = last?.time ?? 0
    return {
      producer,
      ends: new Map(),
      appended: new Map(),
      floor,
      isSettledAsked: last !== null,
      publishedAt: -Infinity,
    }
  }

  async #addPartitions({ id, epoch }: ProducerId, appends: readonly PlacedAppend[]): Promise<void> {
    const { cluster } = this.#stores
    const transactionalId = this.#transactionalId
    const byTopic = Map.groupBy(appends, ({ topic }) => topic)
    const topics = [...byTopic].map(([name, own]) => ({
      name,
      partitions: [...new Set(own.map(({ partition }) => partition))],
    }))
    await cluster.retrying('a transaction', async () => {
      const connection = await cluster.coordinator(transactionalId)
      const transaction = { transactionalId, producerId: id, producerEpoch: epoch, verifyOnly: false, topics }
      try {
        await addPartitionsToTxnV3.api.async(connection, [transaction])
      } catch (error) {
        // The coordinator learns of a new topic a little later than its leader.
        if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw new Passing(topics.map(({ name }) => name).join())
        throw error
      }
    })
  }

  async #end({ id, epoch }: ProducerId): Promise<void> {
    const { cluster } = this.#stores
    const transactionalId = this.#transactionalId
    await cluster.retrying('the end of a transaction', async () => {
      await endTxnV3.api.async(await cluster.coordinator(transactionalId), transactionalId, id, epoch, true)
    })
  }
}

/** A transaction whose end was asked for, and that was not committed. */
class NotCommitted extends Error {
  constructor(cause: unknown) {
    super('the transaction was not committed', { cause })
  }
}

/** Where nothing was stamped between the last settled time and now, what that said. */
function quietSince(before: Settled | null, floor: number): number {
  return before !== null && before.time === floor ? before.quietSince : 0
}

/** Before a name is taken back: who took it may end what it has begun, or none would ever get through. */
function courtesyMs(fenced: number): number {
  return Math.min(COURTESY_MS_MIN * 2 ** (fenced - 1), COURTESY_MS_MAX) * (0.5 + Math.random())
}

function conflict(cause?: unknown): Error {
  return failStore(
    'TM_LOG_CONFLICT',
    'another process appended to the log meanwhile: nothing was appended; read on and try again',
    { cause },
  )
}
