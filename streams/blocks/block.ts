import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { FieldPlan, FieldType } from '../../features/plan/field-type.ts'
import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import type { Column } from '../../features/values/column.ts'
import { COLUMN_STORAGE } from '../../features/values/column.ts'

/*
 * A block: many events of one origin for one keyed partition, in one log record.
 *
 *   u8 2 (format), then zstd (with checksum) of
 *     string origin · f64, f64 sequence before the first event that this producer sent to the partition (−1, −1: none) · varint n
 *     sequence offsets:  varint number of runs of one offset, per run varint length, f64 offset; 0 runs: f64[n]
 *     sequence indexes:  whole[n]
 *     event times:       varint 1 + number of the field that holds the same numbers; 0: f64[n]
 *     arrivals:          u8 0 all NaN (the record's append time) · 1 the event times · 2 f64[n]
 *     per field:         u8 has nulls, [u8[n] nulls], then by storage
 *       number f64[n] · int64 i64[n] · bool u8[n] · string varint dictionary size, strings, whole[n] codes · bytes blob each · vector f32[n · length]
 *   whole[n]: u8 bytes per number (1, 2, 4), the numbers. Arrays are little-endian. A dictionary holds the strings in use alone.
 */
const FORMAT = 2
const COMPRESSION = { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 }
/** Runs are written where they are at least this long on average. */
const RUN_LENGTH_MIN = 4

export interface Sequence {
  readonly offset: number
  readonly index: number
}

/** What a block says of where its events come from. */
export interface BlockSequences {
  readonly origin: string
  readonly previous: Sequence
  readonly length: number
  readonly sequenceOffset: Float64Array
  readonly sequenceIndex: Int32Array
  /** Of a block that events were removed from (see `thinned-block.ts`): the last sequence that it had. */
  readonly last?: Sequence
}

export interface Block extends BlockSequences {
  readonly eventTime: Float64Array
  /** NaN: known when the block was appended. */
  readonly arrival: Float64Array
  readonly columns: readonly Column[]
  /** Of a block that events were removed from: the places of those that stay. */
  readonly indexes?: Int32Array
}

export const NO_SEQUENCE: Sequence = { offset: -1, index: -1 }

/** The block's string columns are compact (see `compactColumn`). */
export function encodeBlock(block: Block): Uint8Array {
  const writer = new ByteWriter(64 + block.length * (28 + 8 * block.columns.length))
  writer.string(block.origin)
  writer.f64(block.previous.offset)
  writer.f64(block.previous.index)
  writer.varint(block.length)
  writeSequenceOffsets(writer, block.sequenceOffset)
  writeWhole(writer, block.sequenceIndex)
  writeTimes(writer, block)
  for (const column of block.columns) writeColumn(writer, column, block.length)
  const body = zstdCompressSync(writer.bytes.subarray(0, writer.length), { params: COMPRESSION })
  const bytes = new Uint8Array(body.length + 1)
  bytes[0] = FORMAT
  bytes.set(body, 1)
  return bytes
}

/** Throws RangeError, or zlib's error, on bytes that `encodeBlock` did not write for these fields. */
export function decodeBlock(bytes: Uint8Array, fields: readonly FieldPlan[]): Block {
  const reader = openBlock(bytes)
  const sequences = readSequences(reader)
  const { length } = sequences
  const timeField = reader.varint() - 1
  const ownTimes = timeField < 0 ? new Float64Array(copyOf(reader, length * 8)) : null
  const arrivalKind = reader.u8()
  const ownArrivals = arrivalKind === ARRIVAL.OWN ? new Float64Array(copyOf(reader, length * 8)) : null
  const columns = fields.map(({ type }) => readColumn(reader, type, length))
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a block`)
  const eventTime = ownTimes ?? timesOf(columns[timeField])
  const arrival = ownArrivals ?? (arrivalKind === ARRIVAL.EVENT_TIME ? eventTime : new Float64Array(length).fill(NaN))
  return { ...sequences, eventTime, arrival, columns }
}

/** The same without the events' values. */
export function decodeSequences(bytes: Uint8Array): BlockSequences {
  return readSequences(openBlock(bytes))
}

function openBlock(bytes: Uint8Array): ByteReader {
  if (bytes[0] !== FORMAT) throw new RangeError(`block format ${bytes[0]}, expected ${FORMAT}`)
  return new ByteReader(zstdDecompressSync(bytes.subarray(1)))
}

function readSequences(reader: ByteReader): BlockSequences {
  const origin = reader.string()
  const previous = { offset: reader.f64(), index: reader.f64() }
  const length = reader.varint()
  return {
    origin,
    previous,
    length,
    sequenceOffset: readSequenceOffsets(reader, length),
    sequenceIndex: readWhole(reader, length),
  }
}

const ARRIVAL = { APPENDED: 0, EVENT_TIME: 1, OWN: 2 } as const

/** Where a field holds the event times they are not written again. */
function writeTimes(writer: ByteWriter, { eventTime, arrival, columns }: Block): void {
  const field = columns.findIndex((column) => column.storage === 'number' && isSame(column.values, eventTime))
  writer.varint(field + 1)
  if (field < 0) writeArray(writer, eventTime)
  const isAppended = arrival.every((time) => Number.isNaN(time))
  const kind = isAppended ? ARRIVAL.APPENDED : isSame(arrival, eventTime) ? ARRIVAL.EVENT_TIME : ARRIVAL.OWN
  writer.u8(kind)
  if (kind === ARRIVAL.OWN) writeArray(writer, arrival)
}

function timesOf(column: Column | undefined): Float64Array {
  if (column?.storage !== 'number') throw new RangeError('a block whose event times are in no field')
  return column.values
}

function isSame(a: Float64Array, b: Float64Array): boolean {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return false
  return true
}

function writeSequenceOffsets(writer: ByteWriter, offsets: Float64Array): void {
  let runs = 0
  for (let i = 0; i < offsets.length; i++) if (i === 0 || offsets[i] !== offsets[i - 1]) runs++
  if (runs * RUN_LENGTH_MIN > offsets.length) {
    writer.varint(0)
    return writeArray(writer, offsets)
  }
  writer.varint(runs)
  for (let start = 0, end = 0; start < offsets.length; start = end) {
    while (end < offsets.length && offsets[end] === offsets[start]) end++
    writer.varint(end - start)
    writer.f64(offsets[start])
  }
}

function readSequenceOffsets(reader: ByteReader, length: number): Float64Array {
  const runs = reader.varint()
  if (runs === 0) return new Float64Array(copyOf(reader, length * 8))
  const offsets = new Float64Array(length)
  let start = 0
  for (let run = 0; run < runs; run++) {
    const end = start + reader.varint()
    offsets.fill(reader.f64(), start, end)
    start = end
  }
  if (start !== length) throw new RangeError(`sequence offsets of ${start} events in a block of ${length}`)
  return offsets
}

/** Non-negative numbers, in as many bytes as the greatest needs. */
function writeWhole(writer: ByteWriter, numbers: Int32Array): void {
  let all = 0
  for (const number of numbers) all |= number
  const bytes = all >>> 8 === 0 ? 1 : all >>> 16 === 0 ? 2 : 4
  writer.u8(bytes)
  writeArray(writer, bytes === 1 ? Uint8Array.from(numbers) : bytes === 2 ? Uint16Array.from(numbers) : numbers)
}

function readWhole(reader: ByteReader, length: number): Int32Array {
  const bytes = reader.u8()
  if (bytes === 4) return new Int32Array(copyOf(reader, length * 4))
  if (bytes === 2) return Int32Array.from(new Uint16Array(copyOf(reader, length * 2)))
  if (bytes === 1) return Int32Array.from(reader.raw(length))
  throw new RangeError(`numbers of ${bytes} bytes in a block`)
}

function writeArray(
  writer: ByteWriter,
  array: Float64Array | Int32Array | Uint16Array | Uint8Array | BigInt64Array | Float32Array,
): void {
  writer.raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
}

function writeColumn(writer: ByteWriter, column: Column, length: number): void {
  writer.u8(column.nulls === null ? 0 : 1)
  if (column.nulls !== null) writeArray(writer, column.nulls.subarray(0, length))
  if (column.storage === 'bytes') for (const value of column.values) writer.blob(value)
  else if (column.storage === 'string') {
    writer.varint(column.dictionary.length)
    for (const text of column.dictionary) writer.string(text)
    writeWhole(writer, column.codes)
  } else writeArray(writer, column.values)
}

function copyOf(reader: ByteReader, bytes: number): ArrayBuffer {
  return new Uint8Array(reader.raw(bytes)).buffer
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
      return { storage: 'string', type, nulls, dictionary, codes: readWhole(reader, length) }
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
