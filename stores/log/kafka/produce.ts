import { createAPI, NumericMap, produceV9 } from '@platformatic/kafka'
import type { Connection } from '@platformatic/kafka'
import type { AppendResult } from '../log.ts'

const PRODUCE_MS_MAX = 15_000
const ALL_REPLICAS = -1
/** Sequences are 31 bits, and begin again at 0. */
const SEQUENCES = 2 ** 31
const FLOOR_BYTES = 8

export interface ProducerId {
  readonly id: bigint
  readonly epoch: number
  /** The next sequence by `<topic>/<partition>`. */
  readonly sequences: Map<string, number>
}

/** One batch. */
export interface Produced {
  readonly topic: string
  readonly partition: number
  readonly values: readonly Uint8Array[]
  readonly producer: ProducerId
  readonly sequence: number
  readonly transactionalId: string | null
  /** Epoch ms: the time of the records where a topic takes its producer's word for it. */
  readonly time: number
  /** See `floorOf`; null: none is said. */
  readonly floor: number | null
}

export function laterSequence(sequence: number, records: number): number {
  return (sequence + records) % SEQUENCES
}

/*
 * The key of a record of Tidemark's own topics is the earliest time that it may be taken to have arrived at: f64, little-endian. Brokers whose clocks differ, or whose clocks go back, cannot
 * date a record before a time that was settled when it was appended.
 */
export function floorOf(key: Uint8Array | null): number {
  return key?.length === FLOOR_BYTES ? new DataView(key.buffer, key.byteOffset, FLOOR_BYTES).getFloat64(0, true) : 0
}

function floorKey(floor: number): Buffer {
  const key = Buffer.alloc(FLOOR_BYTES)
  key.writeDoubleLE(floor)
  return key
}

/** Bytes that the caller may change from now on are copied in here. */
const produceApi = createAPI<[Produced], ReturnType<typeof produceV9.parseResponse>>(
  produceV9.api.key,
  produceV9.api.version,
  ({ topic, partition, values, producer, sequence, transactionalId, time, floor }: Produced) => {
    const key = floor === null ? {} : { key: floorKey(floor) }
    return produceV9.createRequest(
      ALL_REPLICAS,
      PRODUCE_MS_MAX,
      values.map((value) => ({ topic, partition, value: Buffer.from(value), timestamp: BigInt(time), ...key })),
      {
        transactionalId,
        producerId: producer.id,
        producerEpoch: producer.epoch,
        sequences: new NumericMap([[`${topic}:${partition}`, sequence]]),
      },
    )
  },
  produceV9.parseResponse,
)

export async function produceBatch(connection: Connection, asked: Produced): Promise<AppendResult> {
  const { responses } = await produceApi.async(connection, asked)
  const [{ baseOffset, logAppendTimeMs }] = responses[0].partitionResponses
  const base = Number(baseOffset)
  return { baseOffset: base, emptyFrom: base, appendTime: Math.max(Number(logAppendTimeMs), asked.floor ?? 0) }
}
