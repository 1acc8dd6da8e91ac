import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FieldPlan, FieldType } from '../features/plan/field-type.ts'
import { ByteReader } from '../features/values/byte-reader.ts'
import { ByteWriter } from '../features/values/byte-writer.ts'
import type { Column } from '../features/values/column.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'

/*
 * A block: many events of one origin for one keyed partition, in one log record.
 *
 *   u8 1 (format), then zstd (with checksum) of
 *     string origin · f64, f64 sequence before the first event that this producer sent to the partition (−1, −1: none) · varint n
 *     f64[n] sequence offsets · i32[n] sequence indexes · f64[n] event times · f64[n] arrivals (NaN: the record's append time)
 *     per field: u8 has nulls, [u8[n] nulls], then by storage
 *       number f64[n] · int64 i64[n] · bool u8[n] · string varint dictionary size, strings, i32[n] codes · bytes blob each · vector f32[n · length]
 *   Arrays are little-endian.
 */
const FORMAT = 1
const COMPRESSION = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 }

export interface Sequence {
  readonly offset: number
  readonly index: number
}

export interface Block {
  readonly origin: string
  readonly previous: Sequence
  readonly length: number
  readonly sequenceOffset: Float64Array
  readonly sequenceIndex: Int32Array
  readonly eventTime: Float64Array
  /** NaN: known when the block was appended. */
  readonly arrival: Float64Array
  readonly columns: readonly Column[]
}

export const NO_SEQUENCE: Sequence = { offset: -1, index: -1 }

export function encodeBlock(block: Block): Uint8Array {
  const writer = new ByteWriter(64 + block.length * (28 + 8 * block.columns.length))
  writer.string(block.origin)
  writer.f64(block.previous.offset)
  writer.f64(block.previous.index)
  writer.varint(block.length)
  for (const array of [block.sequenceOffset, block.sequenceIndex, block.eventTime, block.arrival])
    writeArray(writer, array)
  for (const column of block.columns) writeColumn(writer, column, block.length)
  const body = zstdCompressSync(writer.finish(), { params: COMPRESSION })
  const bytes = new Uint8Array(body.length + 1)
  bytes[0] = FORMAT
  bytes.set(body, 1)
  return bytes
}

/** Throws RangeError, or zlib's error, on bytes that `encodeBlock` did not write for these fields. */
export function decodeBlock(bytes: Uint8Array, fields: readonly FieldPlan[]): Block {
  if (bytes[0] !== FORMAT) throw new RangeError(`block format ${bytes[0]}, expected ${FORMAT}`)
  const reader = new ByteReader(zstdDecompressSync(bytes.subarray(1)))
  const origin = reader.string()
  const previous = { offset: reader.f64(), index: reader.f64() }
  const length = reader.varint()
  const block = {
    origin,
    previous,
    length,
    sequenceOffset: new Float64Array(copyOf(reader, length * 8)),
    sequenceIndex: new Int32Array(copyOf(reader, length * 4)),
    eventTime: new Float64Array(copyOf(reader, length * 8)),
    arrival: new Float64Array(copyOf(reader, length * 8)),
    columns: fields.map(({ type }) => readColumn(reader, type, length)),
  }
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a block`)
  return block
}

function writeArray(
  writer: ByteWriter,
  array: Float64Array | Int32Array | Uint8Array | BigInt64Array | Float32Array,
): void {
  writer.raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
}

function writeColumn(writer: ByteWriter, column: Column, length: number): void {
  writer.u8(column.nulls === null ? 0 : 1)
  if (column.nulls !== null) writeArray(writer, column.nulls.subarray(0, length))
  if (column.storage === 'bytes') for (const value of column.values) writer.blob(value)
  else if (column.storage === 'string') writeStrings(writer, column.codes, column.dictionary, column.nulls)
  else writeArray(writer, column.values)
}

/** Only the strings in use, in order of first use. */
function writeStrings(
  writer: ByteWriter,
  codes: Int32Array,
  dictionary: readonly string[],
  nulls: Uint8Array | null,
): void {
  const numberOf = new Int32Array(dictionary.length).fill(-1)
  const used = new Int32Array(codes.length)
  const texts: number[] = []
  for (let i = 0; i < codes.length; i++) {
    if (nulls !== null && nulls[i] === 1) continue
    const code = codes[i]
    if (numberOf[code] === -1) numberOf[code] = texts.push(code) - 1
    used[i] = numberOf[code]
  }
  writer.varint(texts.length)
  for (const code of texts) writer.string(dictionary[code])
  writeArray(writer, used)
}

function copyOf(reader: ByteReader, bytes: number): ArrayBuffer {
  return Uint8Array.from(reader.raw(bytes)).buffer
}

function readColumn(reader: ByteReader, type: FieldType, length: number): Column {
  const nulls = reader.u8() === 1 ? new Uint8Array(copyOf(reader, length)) : null
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number':
      return { storage: 'number', type, nulls, values: new Float64Array(copyOf(reader, length * 8)) }
    case 'bool':
      return { storage: 'bool', type, nulls, values: new Uint8Array(copyOf(reader, length)) }
    case 'int64':
      return { storage: 'int64', type, nulls, values: new BigInt64Array(copyOf(reader, length * 8)) }
    case 'string': {
      const dictionary = Array.from({ length: reader.varint() }, () => reader.string())
      return { storage: 'string', type, nulls, dictionary, codes: new Int32Array(copyOf(reader, length * 4)) }
    }
    case 'bytes':
      return { storage: 'bytes', type, nulls, values: Array.from({ length }, () => reader.blob().slice()) }
    case 'vector': {
      const vectorType = type as FieldType & { kind: 'vector' }
      return {
        storage: 'vector',
        type: vectorType,
        nulls,
        values: new Float32Array(copyOf(reader, length * vectorType.length * 4)),
      }
    }
  }
}
