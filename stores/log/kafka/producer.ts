import { initProducerIdV4 } from '@platformatic/kafka'
import { failStore } from '../../errors.ts'
import type { AppendResult } from '../log.ts'
import { describe, isKafkaError } from './cluster.ts'
import type { KafkaCluster } from './cluster.ts'
import type { Place } from './partitions.ts'
import { laterSequence, produceBatch } from './produce.ts'
import type { ProducerId } from './produce.ts'

const TRANSACTION_MS_MAX = 30_000
/** Values of one batch: what brokers take by default, with what records and the batch add. One that is larger goes alone. */
const BATCH_BYTES_MAX = 1_000_000
const RECORD_BYTES = 40

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

export const isSpent = (error: unknown): boolean => SPENT.some((id) => isKafkaError(error, id))

/** What is appended to one partition, by its topic's name in the cluster. */
export interface PlacedAppend extends Place {
  readonly values: readonly Uint8Array[]
}

/** `end`: behind the last record of the append. */
export type PlacedResult = AppendResult & { readonly end: number }

/** `transactionalId`: −1 and −1 take over from whoever had the name, and end what that had begun (KIP-360); null: an id that nobody else has. */
export async function newProducerId(cluster: KafkaCluster, transactionalId: string | null): Promise<ProducerId> {
  const { producerId, producerEpoch } = await cluster.retrying('a producer id', async () => {
    const connection =
      transactionalId === null ? await cluster.controller() : await cluster.coordinator(transactionalId)
    return initProducerIdV4.api.async(connection, transactionalId, TRANSACTION_MS_MAX, -1n, -1)
  })
  return { id: producerId, epoch: producerEpoch, sequences: new Map() }
}

/** With what a producer appends. */
export interface Producing {
  readonly cluster: KafkaCluster
  readonly producer: ProducerId
  readonly transactionalId: string | null
  /** Epoch ms. */
  readonly time: number
  readonly floor: number | null
}

/** Partitions at once, the appends to each one after the other. */
export async function produceAll<A extends PlacedAppend>(
  producing: Producing,
  appends: readonly A[],
): Promise<Map<A, PlacedResult>> {
  const results = new Map<A, PlacedResult>()
  const byPartition = Map.groupBy(appends, ({ topic, partition }) => `${topic}/${partition}`)
  await Promise.all(
    [...byPartition.values()].map(async (ofPartition) => {
      for (const append of ofPartition) results.set(append, await produceOne(producing, append))
    }),
  )
  return results
}

/** Records of one batch are contiguous. TM_LOG_TOPIC_UNKNOWN, TM_LOG_RECORD_TOO_LARGE. */
async function produceOne(producing: Producing, { topic, partition, values }: PlacedAppend): Promise<PlacedResult> {
  let first: AppendResult | null = null
  let end = -1
  for (const batch of batches(values)) {
    const result = await sendBatch(producing, { topic, partition, values: batch })
    first ??= result
    end = result.baseOffset + batch.length
  }
  return { ...(first ?? { baseOffset: -1, emptyFrom: -1, appendTime: -1 }), end }
}

function* batches(values: readonly Uint8Array[]): Iterable<readonly Uint8Array[]> {
  let from = 0
  let bytes = 0
  for (const [i, { length }] of values.entries()) {
    bytes += length + RECORD_BYTES
    if (i === from || bytes <= BATCH_BYTES_MAX) continue
    yield values.slice(from, i)
    from = i
    bytes = length + RECORD_BYTES
  }
  if (from < values.length) yield values.slice(from)
}

async function sendBatch(producing: Producing, append: PlacedAppend): Promise<AppendResult> {
  const { cluster, producer, transactionalId, time, floor } = producing
  const { topic, partition, values } = append
  const place = `${topic}/${partition}`
  const sequence = producer.sequences.get(place) ?? 0
  const asked = { ...append, producer, sequence, transactionalId, time, floor }
  const result = await cluster.retrying(`partition ${partition} of ${topic}`, async () => {
    const { connection } = await cluster.leader(topic, partition)
    try {
      return await produceBatch(connection, asked)
    } catch (error) {
      if (isKafkaError(error, 'UNKNOWN_TOPIC_OR_PARTITION')) {
        cluster.forget(topic)
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
      if (isKafkaError(error, 'INVALID_RECORD'))
        throw failStore(
          'TM_LOG_REFUSED',
          `topic ${topic} takes no such records (${describe(error)}): a compacted topic takes none without a key, and is written by those who own it`,
          { details: { topic, partition }, cause: error },
        )
      throw error
    }
  })
  producer.sequences.set(place, laterSequence(sequence, values.length))
  return result
}

/** An idempotent producer: what is sent again after a lost answer is stored once. */
export class KafkaProducer {
  readonly #cluster: KafkaCluster
  readonly #now: () => number
  #producer: ProducerId | null = null
  /** Appends of one producer follow one another: their sequences do. */
  #turn: Promise<unknown> = Promise.resolve()

  /** `now`: epoch ms, the time of a record where a topic takes its producer's word for it. */
  constructor(cluster: KafkaCluster, now: () => number) {
    this.#cluster = cluster
    this.#now = now
  }

  /** Several partitions, not in one atomic change. Results in order. */
  async appendEach(appends: readonly PlacedAppend[]): Promise<PlacedResult[]> {
    const before = this.#turn
    const mine = (async () => {
      await before.catch(() => {})
      this.#producer ??= await newProducerId(this.#cluster, null)
      const producing = { cluster: this.#cluster, producer: this.#producer, transactionalId: null, floor: null }
      try {
        const results = await produceAll({ ...producing, time: Math.floor(this.#now()) }, appends)
        return appends.map((append) => results.get(append)!)
      } catch (error) {
        // Sequences of what failed are not known any more.
        this.#producer = null
        throw error
      }
    })()
    this.#turn = mine
    return mine
  }
}
