import { setTimeout as sleep } from 'node:timers/promises'
import { addPartitionsToTxnV3, createAPI, endTxnV3, initProducerIdV4, NumericMap, produceV9 } from '@platformatic/kafka'
import type { Connection } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import type { AppendResult, TopicAppend } from '../log.ts'
import { isKafkaError } from './cluster.ts'
import type { KafkaCluster } from './cluster.ts'

const TRANSACTION_MS_MAX = 30_000
const PRODUCE_MS_MAX = 15_000
const ALL_REPLICAS = -1
const COURTESY_MS_MIN = 40
const COURTESY_MS_MAX = 640

const NOTHING: AppendResult = { baseOffset: -1, appendTime: -1 }

/** What a producer needs to know of the ends of partitions. */
export interface PartitionEnds {
  /** Whether no record stands at an offset or behind it. */
  isAt(topic: string, partition: number, offset: number): Promise<boolean>
  /** Whether a record can be read at an offset. */
  holds(topic: string, partition: number, offset: number): Promise<boolean>
  /** Until everything before an offset can be read: a transaction that was committed becomes so a little later. */
  readable(topic: string, partition: number, before: number): Promise<void>
}

/** Errors after which a producer id is of no more use. */
const SPENT = [
  'PRODUCER_FENCED',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
  'INVALID_TXN_STATE',
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'TRANSACTION_ABORTABLE',
]

interface ProducerId {
  readonly id: bigint
  readonly epoch: number
  /** The next sequence by `<topic>/<partition>`. */
  readonly sequences: Map<string, number>
  /** Ends that were looked at, by `<topic>/<partition>`: nobody else of this name appends there before taking over. */
  readonly ends: Map<string, number>
}

/**
 * An idempotent producer: what is sent again after a lost answer is stored once. With a transactional id it is also the only one of its name: starting one fences those before, and what they
 * had begun is aborted.
 */
export class KafkaProducer {
  readonly #cluster: KafkaCluster
  readonly #transactionalId: string | null
  readonly #now: () => number
  #producer: ProducerId | null = null
  /** How often in a row others took over before an append was through. */
  #fenced = 0
  /** Appends of one producer follow one another: their sequences do. */
  #turn: Promise<unknown> = Promise.resolve()

  /** `now`: epoch ms, the time of a record where a topic takes its producer's word for it. */
  constructor(cluster: KafkaCluster, transactionalId: string | null, now: () => number) {
    this.#cluster = cluster
    this.#transactionalId = transactionalId
    this.#now = now
  }

  /** Several partitions, not in one atomic change. Results in order. */
  appendEach(appends: readonly TopicAppend[]): Promise<AppendResult[]> {
    return this.#inTurn(async (producer) => {
      const results = await this.#produceAll(producer, appends)
      return appends.map((append) => results.get(append)!)
    })
  }

  /** Partitions at once, the appends to each one after the other. */
  async #produceAll(producer: ProducerId, appends: readonly TopicAppend[]): Promise<Map<TopicAppend, AppendResult>> {
    const results = new Map<TopicAppend, AppendResult>()
    const byPartition = Map.groupBy(appends, ({ topic, partition }) => `${topic}/${partition}`)
    await Promise.all(
      [...byPartition.values()].map(async (ofPartition) => {
        for (const append of ofPartition) results.set(append, await this.#produce(producer, append))
      }),
    )
    return results
  }

  /**
   * All or nothing, if each conditional append is for the end of its partition once no other producer of this transactional id can append any more. Readable when it resolves. TM_LOG_CONFLICT:
   * an end is another, or another producer took over.
   */
  appendTogether(appends: readonly TopicAppend[], ends: PartitionEnds): Promise<AppendResult[]> {
    return this.#inTurn(async (producer) => {
      await this.#checkEnds(producer, appends, ends)
      const sent = appends.filter(({ values }) => values.length > 0)
      if (sent.length === 0) return appends.map(() => NOTHING)
      const results = await this.#transact(producer, sent, ends)
      for (const [{ topic, partition, values }, { baseOffset }] of results) {
        producer.ends.delete(`${topic}/${partition}`)
        await ends.readable(topic, partition, baseOffset + values.length)
      }
      return appends.map((append) => results.get(append) ?? NOTHING)
    })
  }

  async #transact(
    producer: ProducerId,
    sent: readonly TopicAppend[],
    ends: PartitionEnds,
  ): Promise<Map<TopicAppend, AppendResult>> {
    let results: Map<TopicAppend, AppendResult> | null = null
    try {
      await this.#addPartitions(producer, sent)
      results = await this.#produceAll(producer, sent)
      await this.#end(producer)
      return results
    } catch (error) {
      this.#producer = null
      // Nothing is committed before its end was asked for.
      if (results === null) throw error
      // A new start ends what is open, and waits for what was being ended: then it can be read, or never.
      this.#producer = await this.#begin()
      const [[{ topic, partition }, { baseOffset }]] = results
      if (await ends.holds(topic, partition, baseOffset)) return results
      throw conflict(error)
    }
  }

  async #checkEnds({ ends: known }: ProducerId, appends: readonly TopicAppend[], ends: PartitionEnds): Promise<void> {
    for (const { topic, partition, ifEnd } of appends) {
      const place = `${topic}/${partition}`
      if (ifEnd === undefined || known.get(place) === ifEnd) continue
      if (!(await ends.isAt(topic, partition, ifEnd))) throw conflict()
      known.set(place, ifEnd)
    }
  }

  async #inTurn<T>(run: (producer: ProducerId) => Promise<T>): Promise<T> {
    const before = this.#turn
    const mine = (async () => {
      await before.catch(() => {})
      try {
        if (this.#producer === null && this.#fenced > 0) await sleep(courtesyMs(this.#fenced))
        const result = await run((this.#producer ??= await this.#begin()))
        this.#fenced = 0
        return result
      } catch (error) {
        const isSpent = SPENT.some((id) => isKafkaError(error, id))
        if (isSpent) this.#fenced++
        if (isSpent || !isConflictOf(error)) this.#producer = null
        if (isSpent && this.#transactionalId !== null) throw conflict(error)
        throw error
      }
    })()
    this.#turn = mine
    return mine
  }

  async #begin(): Promise<ProducerId> {
    const id = this.#transactionalId
    const { producerId, producerEpoch } = await this.#cluster.retrying('a producer id', async () => {
      const connection = id === null ? await this.#cluster.controller() : await this.#cluster.coordinator(id)
      // −1 and −1 take over from whoever had the name (KIP-360).
      return initProducerIdV4.api.async(connection, id, TRANSACTION_MS_MAX, -1n, -1)
    })
    return { id: producerId, epoch: producerEpoch, sequences: new Map(), ends: new Map() }
  }

  async #addPartitions({ id, epoch }: ProducerId, appends: readonly TopicAppend[]): Promise<void> {
    const transactionalId = this.#transactionalId!
    const names = [...new Set(appends.map(({ topic }) => topic))]
    const topics = names.map((name) => ({
      name,
      partitions: [...new Set(appends.flatMap((append) => (append.topic === name ? [append.partition] : [])))],
    }))
    await this.#cluster.retrying('a transaction', async () => {
      const connection = await this.#cluster.coordinator(transactionalId)
      const transaction = { transactionalId, producerId: id, producerEpoch: epoch, verifyOnly: false, topics }
      await addPartitionsToTxnV3.api.async(connection, [transaction])
    })
  }

  async #end({ id, epoch }: ProducerId): Promise<void> {
    const transactionalId = this.#transactionalId!
    await this.#cluster.retrying('the end of a transaction', async () => {
      await endTxnV3.api.async(await this.#cluster.coordinator(transactionalId), transactionalId, id, epoch, true)
    })
  }

  /** Records of one call are one batch, so contiguous. TM_LOG_TOPIC_UNKNOWN, TM_LOG_RECORD_TOO_LARGE. */
  async #produce(producer: ProducerId, { topic, partition, values }: TopicAppend): Promise<AppendResult> {
    const place = `${topic}/${partition}`
    const sequence = producer.sequences.get(place) ?? 0
    const asked: Produced = {
      topic,
      partition,
      values,
      producer,
      sequence,
      transactionalId: this.#transactionalId,
      time: Math.floor(this.#now()),
    }
    const answer = await this.#cluster.retrying(`partition ${partition} of ${topic}`, async () => {
      const { connection } = await this.#cluster.leader(topic, partition)
      try {
        return await produce(connection, asked)
      } catch (error) {
        if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) {
          this.#cluster.forget(topic)
          throw failStore('TM_LOG_TOPIC_UNKNOWN', `there is no partition ${partition} of topic ${topic} in Kafka`, {
            details: { topic, partition },
            cause: error,
          })
        }
        if (isKafkaError(error, 'MESSAGE_TOO_LARGE') || isKafkaError(error, 'RECORD_LIST_TOO_LARGE'))
          throw failStore(
            'TM_LOG_RECORD_TOO_LARGE',
            `topic ${topic} takes no records of ${values.reduce((sum, { length }) => sum + length, 0)} bytes: raise its max.message.bytes, or lower maxMessageBytes`,
            { details: { topic, partition }, cause: error },
          )
        throw error
      }
    })
    producer.sequences.set(place, sequence + values.length)
    return answer
  }
}

interface Produced {
  readonly topic: string
  readonly partition: number
  readonly values: readonly Uint8Array[]
  readonly producer: ProducerId
  readonly sequence: number
  readonly transactionalId: string | null
  readonly time: number
}

/** Bytes that the caller may change from now on are copied in here. */
const produceApi = createAPI<[Produced], ReturnType<typeof produceV9.parseResponse>>(
  produceV9.api.key,
  produceV9.api.version,
  ({ topic, partition, values, producer, sequence, transactionalId, time }: Produced) =>
    produceV9.createRequest(
      ALL_REPLICAS,
      PRODUCE_MS_MAX,
      values.map((value) => ({ topic, partition, value: Buffer.from(value), timestamp: BigInt(time) })),
      {
        transactionalId,
        producerId: producer.id,
        producerEpoch: producer.epoch,
        sequences: new NumericMap([[`${topic}:${partition}`, sequence]]),
      },
    ),
  produceV9.parseResponse,
)

async function produce(connection: Connection, asked: Produced): Promise<AppendResult> {
  const { responses } = await produceApi.async(connection, asked)
  const [{ baseOffset, logAppendTimeMs }] = responses[0].partitionResponses
  return { baseOffset: Number(baseOffset), appendTime: Number(logAppendTimeMs) }
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

function isConflictOf(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'TM_LOG_CONFLICT'
}
