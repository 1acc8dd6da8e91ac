import { createAPI, ResponseError, Writer } from '@platformatic/kafka'
import type { Connection, Reader } from '@platformatic/kafka'
import type { AbortedTransaction } from './record-scan.ts'

/** A partition, and the offset from which on something is asked for. */
export interface FetchPlace {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
}

export interface Fetched {
  readonly highWatermark: number
  /** Records at or beyond are of transactions that are still open. */
  readonly lastStableOffset: number
  readonly logStartOffset: number
  readonly aborted: readonly AbortedTransaction[]
  /** Record batches, the last one perhaps cut short. */
  readonly records: Buffer
}

/** A partition as the broker has it now. */
export interface FetchedPartition extends Fetched {
  readonly topicId: string
  readonly partition: number
  /** 0: none. */
  readonly error: number
}

interface FetchRequest {
  readonly places: readonly FetchPlace[]
  /** About: at least one batch is given if there is one. */
  readonly maxBytes: number
  /** How long the broker waits until something can be read. */
  readonly maxWaitMs: number
}

interface FetchResponse {
  /** Of the request as a whole; 0: none. */
  readonly error: number
  readonly partitions: readonly FetchedPartition[]
}

const FETCH = 1
/** The first with topic ids, which tell a topic that was made again. */
const VERSION = 13
const READ_COMMITTED = 1

function request({ places, maxBytes, maxWaitMs }: FetchRequest): Writer {
  const byTopic = [...Map.groupBy(places, ({ topicId }) => topicId)]
  return Writer.create()
    .appendInt32(-1)
    .appendInt32(maxWaitMs)
    .appendInt32(1)
    .appendInt32(maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(0)
    .appendInt32(-1)
    .appendArray(byTopic, (writer, [id, own]) => {
      writer.appendUUID(id).appendArray(own, (inner, { partition, offset }) => {
        inner
          .appendInt32(partition)
          .appendInt32(-1)
          .appendInt64(BigInt(offset))
          .appendInt32(-1)
          .appendInt64(-1n)
          .appendInt32(maxBytes)
      })
    })
    .appendArray<never>([], () => {})
    .appendString('')
    .appendTaggedFields()
}

function response(_correlation: number, _key: number, _version: number, reader: Reader): FetchResponse {
  reader.readInt32()
  const error = reader.readInt16()
  reader.readInt32()
  const topics = reader.readArray((ofTopic) => {
    const topicId = ofTopic.readUUID()
    return ofTopic.readArray((r) => fetchedPartition(topicId, r))
  })
  return { error, partitions: topics.flat() }
}

function fetchedPartition(topicId: string, r: Reader): FetchedPartition {
  const partition = r.readInt32()
  const error = r.readInt16()
  const highWatermark = Number(r.readInt64())
  const lastStableOffset = Number(r.readInt64())
  const logStartOffset = Number(r.readInt64())
  const aborted = r.readNullableArray((item) => ({ producerId: item.readInt64(), firstOffset: item.readInt64() })) ?? []
  r.readInt32()
  const length = Math.max(0, r.readUnsignedVarInt() - 1)
  const records = r.buffer.slice(r.position, r.position + length)
  r.skip(length)
  return { topicId, partition, error, highWatermark, lastStableOffset, logStartOffset, aborted, records }
}

const api = createAPI<[FetchRequest], FetchResponse>(FETCH, VERSION, request as never, response)

/** One fetch of one partition, what is committed only, about `maxBytes`; the broker does not wait. */
export async function fetchRecords(connection: Connection, place: FetchPlace, maxBytes: number): Promise<Fetched> {
  const { error, partitions } = await api.async(connection, { places: [place], maxBytes, maxWaitMs: 0 })
  if (error !== 0) throw new ResponseError(FETCH, VERSION, { '/': [error, null] }, null)
  const [partition] = partitions
  if (partition.error !== 0)
    throw new ResponseError(FETCH, VERSION, { '/partition': [partition.error, null] }, partition)
  return partition
}

/** Waits at a broker until something can be read in one of its partitions from an offset on, or for a time; what is there is left where it is. */
export async function watchPartitions(
  connection: Connection,
  places: readonly FetchPlace[],
  maxWaitMs: number,
): Promise<FetchedPartition[]> {
  const { error, partitions } = await api.async(connection, { places, maxBytes: 1, maxWaitMs })
  return partitions.map((partition) => ({ ...partition, error: partition.error || error }))
}
