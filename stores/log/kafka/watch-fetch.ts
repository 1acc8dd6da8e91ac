import { createAPI, Writer } from '@platformatic/kafka'
import type { Connection, Reader } from '@platformatic/kafka'

/** A partition, and the offset from which on something is waited for. */
export interface WatchedPartition {
  readonly topicId: string
  readonly partition: number
  readonly offset: number
}

/** A partition as the broker has it now. */
export interface SeenPartition {
  readonly topicId: string
  readonly partition: number
  /** 0: none. */
  readonly error: number
  /** Everything before it can be read. */
  readonly stableOffset: number
}

export interface WatchRequest {
  readonly partitions: readonly WatchedPartition[]
  /** How long the broker waits until something can be read. */
  readonly maxWaitMs: number
}

const FETCH = 1
const VERSION = 13
const READ_COMMITTED = 1

function request({ partitions, maxWaitMs }: WatchRequest): Writer {
  const byTopic = [...Map.groupBy(partitions, ({ topicId }) => topicId)]
  return Writer.create()
    .appendInt32(-1)
    .appendInt32(maxWaitMs)
    .appendInt32(1)
    .appendInt32(1)
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
          .appendInt32(1)
      })
    })
    .appendArray<never>([], () => {})
    .appendString('')
    .appendTaggedFields()
}

function response(_correlation: number, _key: number, _version: number, reader: Reader): SeenPartition[] {
  reader.readInt32()
  const failed = reader.readInt16()
  reader.readInt32()
  const topics = reader.readArray((ofTopic) => {
    const topicId = ofTopic.readUUID()
    return ofTopic.readArray((r): SeenPartition => {
      const partition = r.readInt32()
      const error = r.readInt16() || failed
      r.readInt64()
      const stableOffset = Number(r.readInt64())
      r.readInt64()
      r.readNullableArray((item) => ({ producerId: item.readInt64(), firstOffset: item.readInt64() }))
      r.readInt32()
      r.skip(Math.max(0, r.readUnsignedVarInt() - 1))
      return { topicId, partition, error, stableOffset }
    })
  })
  return topics.flat()
}

const api = createAPI<[WatchRequest], SeenPartition[]>(FETCH, VERSION, request as never, response)

/** Waits at a broker until something can be read in one of its partitions from an offset on, or for a time; what is there is left where it is. */
export function watchPartitions(connection: Connection, asked: WatchRequest): Promise<SeenPartition[]> {
  return api.async(connection, asked)
}
