import { compressionsAlgorithms } from '@platformatic/kafka'

/*
 * Record batches of format 2 (https://kafka.apache.org/documentation/#recordbatch), big-endian:
 *
 *    0 i64 base offset   8 i32 length from here on   16 i8 magic (2)       21 i16 attributes: 0–2 codec, 3 append time, 4 transactional, 5 control
 *   23 i32 last offset delta   27 i64 base timestamp   35 i64 max timestamp   43 i64 producer id   57 i32 records   61 the records, compressed together
 *
 * A record: zigzag varints of length, (i8 attributes), timestamp delta, offset delta, key length and key, value length and value, then how many headers there are, and of each the same of its key
 * and value.
 */
const LENGTH_AT = 8
const MAGIC_AT = 16
const ATTRIBUTES_AT = 21
const LAST_OFFSET_DELTA_AT = 23
const BASE_TIMESTAMP_AT = 27
const MAX_TIMESTAMP_AT = 35
const PRODUCER_ID_AT = 43
const COUNT_AT = 57
const RECORDS_AT = 61
const BATCH_HEAD = 12
/** Of the header that names a value's schema. */
const SCHEMA_ID = Buffer.from('__value_schema_id')

const CODEC = 0b111
const APPEND_TIME = 0b1000
const TRANSACTIONAL = 0b10000
const CONTROL = 0b100000
const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

export interface ScannedRecord {
  readonly offset: number
  /** Epoch ms: the broker's where the topic says LogAppendTime. */
  readonly timestamp: number
  /** A copy. */
  readonly key: Uint8Array | null
  /** A copy; null: a tombstone. */
  readonly value: Uint8Array | null
  /** A copy; see `LogRecord`. */
  readonly schemaId: Uint8Array | null
}

/**
 * Calls `onRecord` for each committed record at `from` or later, in offset order, until it says false. Returns the offset behind the last whole batch, or behind the record at which it was stopped: where to
 * read on, also over batches of which nothing is seen. The last batch may be cut short. RangeError where the bytes are no batches.
 *
 * What was aborted is left out as the protocol asks: from a producer's first aborted offset up to its next abort marker, any number of times.
 */
export function scanRecords(
  bytes: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
  onRecord: (record: ScannedRecord) => boolean,
): number {
  const waiting = [...aborted].sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const aborting = new Set<bigint>()
  let next = from
  for (let at = 0; at + BATCH_HEAD <= bytes.length;) {
    const end = at + BATCH_HEAD + bytes.readInt32BE(at + LENGTH_AT)
    if (end > bytes.length) break
    const base = Number(bytes.readBigInt64BE(at))
    const behind = base + bytes.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1
    if (bytes[at + MAGIC_AT] !== 2) throw new RangeError(`a record batch of format ${bytes[at + MAGIC_AT]}, expected 2`)
    const attributes = bytes.readInt16BE(at + ATTRIBUTES_AT)
    const producer = bytes.readBigInt64BE(at + PRODUCER_ID_AT)
    while (waiting.length > 0 && waiting[0].firstOffset < behind) aborting.add(waiting.shift()!.producerId)
    if ((attributes & CONTROL) !== 0) {
      // Whatever the marker says, the producer's next records are of another transaction.
      aborting.delete(producer)
    } else if (!((attributes & TRANSACTIONAL) !== 0 && aborting.has(producer)) && behind > from) {
      const stopped = scanBatch(bytes.subarray(at, end), from, onRecord)
      if (stopped !== null) return stopped
    }
    next = Math.max(next, behind)
    at = end
  }
  return next
}

/** Null, or the offset behind the record that `onRecord` said false to. */
function scanBatch(batch: Buffer, from: number, onRecord: (record: ScannedRecord) => boolean): number | null {
  const attributes = batch.readInt16BE(ATTRIBUTES_AT)
  const base = Number(batch.readBigInt64BE(0))
  const baseTime = Number(batch.readBigInt64BE(BASE_TIMESTAMP_AT))
  const appendTime = (attributes & APPEND_TIME) === 0 ? null : Number(batch.readBigInt64BE(MAX_TIMESTAMP_AT))
  const codec = CODECS[attributes & CODEC]
  if (codec === undefined) throw new RangeError(`unknown codec ${attributes & CODEC}`)
  const packed = batch.subarray(RECORDS_AT)
  const reader = new RecordReader(codec === 'none' ? packed : compressionsAlgorithms[codec].decompressSync(packed))
  for (let left = batch.readInt32BE(COUNT_AT); left > 0; left--) {
    const end = reader.varint() + reader.at
    reader.at++
    const time = reader.varint()
    const offset = base + reader.varint()
    const key = reader.bytes()
    const value = reader.bytes()
    const schemaId = offset < from ? null : schemaHeader(reader)
    reader.at = end
    if (offset < from) continue
    const record = { offset, timestamp: appendTime ?? baseTime + time, key, value, schemaId }
    if (!onRecord(record)) return offset + 1
  }
  return null
}

/** The last of that name, as consumers take it. */
function schemaHeader(reader: RecordReader): Uint8Array | null {
  let found: Uint8Array | null = null
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.bytes()
    const value = reader.bytes()
    if (name !== null && SCHEMA_ID.equals(name)) found = value
  }
  return found
}

class RecordReader {
  readonly #bytes: Uint8Array
  at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Zigzag, up to 64 bits; safe integers are exact. */
  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      if (this.at >= this.#bytes.length) throw new RangeError('a record is cut short')
      const byte = this.#bytes[this.at++]
      value += (byte & 0x7f) * scale
      if (byte < 128) break
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  bytes(): Uint8Array | null {
    const length = this.varint()
    if (length < 0) return null
    if (this.at + length > this.#bytes.length) throw new RangeError('a record is cut short')
    return Uint8Array.prototype.slice.call(this.#bytes, this.at, (this.at += length))
  }
}
