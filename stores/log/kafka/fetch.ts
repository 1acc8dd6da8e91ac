import { createAPI, ResponseError, Writer } from '@platformatic/kafka'
import type { Connection, Reader } from '@platformatic/kafka'
import type { AbortedTransaction } from './record-scan.ts'

/** What is fetched of one partition. */
export interface FetchRequest {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  /** About: at least one batch is given if there is one. */
  readonly maxBytes: number
  /** How long the broker waits for a first byte. */
  readonly maxWaitMs: number
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

const FETCH = 1
/** The first with topic ids, which tell a topic that was made again. */
const VERSION = 13
const READ_COMMITTED = 1

function request({ topicId, partition, offset, maxBytes, maxWaitMs }: FetchRequest): Writer {
  return Writer.create()
    .appendInt32(-1)
    .appendInt32(maxWaitMs)
    .appendInt32(1)
    .appendInt32(maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(0)
    .appendInt32(-1)
    .appendArray([topicId], (writer, id) => {
      writer.appendUUID(id).appendArray([partition], (inner, index) => {
        inner
          .appendInt32(index)
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

function response(_correlation: number, key: number, version: number, reader: Reader): Fetched {
  reader.readInt32()
  const failed = reader.readInt16()
  if (failed !== 0) throw new ResponseError(key, version, { '/': [failed, null] }, null)
  reader.readInt32()
  const [topic] = reader.readArray((ofTopic) => {
    ofTopic.readUUID()
    return ofTopic.readArray((r) => {
      r.readInt32()
      const error = r.readInt16()
      const highWatermark = Number(r.readInt64())
      const lastStableOffset = Number(r.readInt64())
      const logStartOffset = Number(r.readInt64())
      const aborted =
        r.readNullableArray((item) => ({ producerId: item.readInt64(), firstOffset: item.readInt64() })) ?? []
      r.readInt32()
      const length = Math.max(0, r.readUnsignedVarInt() - 1)
      const records = r.buffer.slice(r.position, r.position + length)
      r.skip(length)
      return { error, highWatermark, lastStableOffset, logStartOffset, aborted, records }
    })
  })
  const [partition] = topic
  if (partition.error !== 0) throw new ResponseError(key, version, { '/partition': [partition.error, null] }, partition)
  return partition
}

const api = createAPI<[FetchRequest], Fetched>(FETCH, VERSION, request as never, response)

/** One fetch of one partition, what is committed only. */
export function fetchRecords(connection: Connection, asked: FetchRequest): Promise<Fetched> {
  return api.async(connection, asked)
}
