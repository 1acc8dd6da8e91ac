import { constants, zstdCompressSync } from 'node:zlib'
import { bitWidth, hybridBytesMax, writeHybrid } from './hybrid-runs.ts'
import {
  binaryField,
  boolField,
  encodeThrift,
  i32Field,
  i64Field,
  listField,
  structField,
  THRIFT,
} from './thrift-compact.ts'
import type { ThriftStruct } from './thrift-compact.ts'

/** Parquet's physical types, encodings and codecs by number. */
export const PARQUET_TYPE = { BOOLEAN: 0, INT32: 1, INT64: 2, FLOAT: 4, DOUBLE: 5, BYTE_ARRAY: 6 } as const
export const ENCODING = { PLAIN: 0, PLAIN_DICTIONARY: 2, RLE: 3, RLE_DICTIONARY: 8 } as const
export const CODEC = { UNCOMPRESSED: 0, GZIP: 2, ZSTD: 6 } as const
export const PAGE = { DATA: 0, DICTIONARY: 2, DATA_V2: 3 } as const

/** Beyond this many distinct values a dictionary saves little. */
const DICTIONARY_MAX = 1 << 14
/** Compressed pages are smaller than this share. */
const SMALLER_MIN = 0.7
const PROBE_BYTES = 1 << 15
const ZSTD = { [constants.ZSTD_c_compressionLevel]: 1 }

/** The values of one leaf column of a row group; nulls and empty lists are in the levels only. */
export interface LeafValues {
  /** Present values; `byteArrays` for BYTE_ARRAY, else `numbers`, 64-bit integers as BigInt64Array. */
  readonly numbers: Float64Array | Float32Array | Int32Array | BigInt64Array | Uint8Array
  readonly byteArrays: readonly Uint8Array[]
  readonly count: number
}

export interface LeafChunk {
  readonly path: readonly string[]
  readonly physicalType: number
  readonly values: LeafValues
  /** Rows, or entries where there are lists. */
  readonly entries: number
  readonly nullCount: number
  /** Least and greatest number, or null where unknown. */
  readonly range: readonly [number, number] | null
  /** Null where every level is the greatest. */
  readonly definitions: Uint8Array | null
  readonly definitionMax: number
  readonly repetitions: Uint8Array | null
  readonly repetitionMax: number
  /** Distinct values and each value's number, where the caller has them; else they are looked for. */
  readonly dictionary?: Dictionary
}

/** Bytes of a column chunk, and its ColumnMetaData with page offsets from the chunk's start. */
export interface EncodedChunk {
  readonly pages: readonly Uint8Array[]
  readonly bytes: number
  readonly metadata: ThriftStruct
}

/** One dictionary page where it pays, one data page; zstd level 1 where that saves three tenths. */
export function encodeColumnChunk(chunk: LeafChunk): EncodedChunk {
  const dictionary = chunk.dictionary === undefined ? buildDictionary(chunk.values) : worthwhile(chunk.dictionary)
  const plain = dictionary === null ? plainBytes(chunk.values, chunk.physicalType) : null
  const levels = levelBytes(chunk)
  const body = plain ?? indexBytes(dictionary as Dictionary, chunk.values.count)
  const data = joined([...levels, body])
  const dictionaryBody = dictionary === null ? null : plainBytes(dictionary.values, chunk.physicalType)
  const packedData = isCompressible(data) ? compressed(data) : data
  const codec = packedData.length < data.length * SMALLER_MIN ? CODEC.ZSTD : CODEC.UNCOMPRESSED
  const pages: Uint8Array[] = []
  let uncompressed = 0
  const add = (
    kind: number,
    content: Uint8Array,
    packed: Uint8Array | null,
    header: [number, ReturnType<typeof structField>],
  ): void => {
    const stored = codec === CODEC.ZSTD ? (packed ?? compressed(content)) : content
    const head = encodeThrift(
      new Map([[1, i32Field(kind)], [2, i32Field(content.length)], [3, i32Field(stored.length)], header]),
    )
    pages.push(head, stored)
    uncompressed += head.length + content.length
  }
  if (dictionaryBody !== null && dictionary !== null)
    add(PAGE.DICTIONARY, dictionaryBody, null, [
      7,
      structField([
        [1, i32Field(dictionary.values.count)],
        [2, i32Field(ENCODING.PLAIN)],
      ]),
    ])
  const dictionaryLength = pages.reduce((sum, page) => sum + page.length, 0)
  const encoding = dictionary === null ? ENCODING.PLAIN : ENCODING.RLE_DICTIONARY
  add(PAGE.DATA, data, packedData, [
    5,
    structField([
      [1, i32Field(chunk.entries)],
      [2, i32Field(encoding)],
      [3, i32Field(ENCODING.RLE)],
      [4, i32Field(ENCODING.RLE)],
    ]),
  ])
  const bytes = pages.reduce((sum, page) => sum + page.length, 0)
  return { pages, bytes, metadata: columnMetadata(chunk, { codec, encoding, uncompressed, bytes, dictionaryLength }) }
}

/** Of a long page one piece from its middle is tried: numbers that compress little take long to compress, and to read again. */
function isCompressible(data: Uint8Array): boolean {
  if (data.length < 4 * PROBE_BYTES) return true
  const from = (data.length - PROBE_BYTES) >> 1
  return compressed(data.subarray(from, from + PROBE_BYTES)).length < PROBE_BYTES * SMALLER_MIN
}

/** In one piece: room for what does not get smaller. */
function compressed(data: Uint8Array): Uint8Array {
  return zstdCompressSync(data, { params: ZSTD, chunkSize: data.length + (data.length >> 7) + 1024 })
}

function columnMetadata(
  chunk: LeafChunk,
  page: { codec: number; encoding: number; uncompressed: number; bytes: number; dictionaryLength: number },
): ThriftStruct {
  const encodings =
    page.encoding === ENCODING.PLAIN
      ? [ENCODING.PLAIN, ENCODING.RLE]
      : [ENCODING.PLAIN, ENCODING.RLE, ENCODING.RLE_DICTIONARY]
  const metadata: ThriftStruct = new Map([
    [1, i32Field(chunk.physicalType)],
    [2, listField(THRIFT.I32, [...encodings])],
    [
      3,
      listField(
        THRIFT.BINARY,
        chunk.path.map((name) => Buffer.from(name)),
      ),
    ],
    [4, i32Field(page.codec)],
    [5, i64Field(chunk.entries)],
    [6, i64Field(page.uncompressed)],
    [7, i64Field(page.bytes)],
    [9, i64Field(page.dictionaryLength)],
  ])
  if (page.dictionaryLength > 0) metadata.set(11, i64Field(0))
  const statistics: ThriftStruct = new Map([[3, i64Field(chunk.nullCount)]])
  if (chunk.range !== null) {
    statistics.set(5, binaryField(boundBytes(chunk.range[1], chunk.physicalType, false)))
    statistics.set(6, binaryField(boundBytes(chunk.range[0], chunk.physicalType, true)))
    statistics.set(7, boolField(true))
    statistics.set(8, boolField(true))
  }
  metadata.set(12, { type: THRIFT.STRUCT, value: statistics })
  return metadata
}

/** A bound in its plain bytes. Zero has one sign here, and Parquet asks for −0 as a least and +0 as a greatest. */
function boundBytes(value: number, physicalType: number, isLeast: boolean): Uint8Array {
  const signed = value === 0 && isLeast ? -0 : value
  switch (physicalType) {
    case PARQUET_TYPE.INT32:
      return new Uint8Array(Int32Array.of(value).buffer)
    case PARQUET_TYPE.INT64:
      return new Uint8Array(BigInt64Array.of(BigInt(value)).buffer)
    case PARQUET_TYPE.FLOAT:
      return new Uint8Array(Float32Array.of(signed).buffer)
    default:
      return new Uint8Array(Float64Array.of(signed).buffer)
  }
}

export interface Dictionary {
  readonly values: LeafValues
  readonly codes: Int32Array
}

function worthwhile(dictionary: Dictionary): Dictionary | null {
  const { count } = dictionary.values
  return count > 0 && count <= dictionaryMax(dictionary.codes.length) ? dictionary : null
}

function dictionaryMax(values: number): number {
  return Math.min(DICTIONARY_MAX, values >> 1)
}

function buildDictionary(values: LeafValues): Dictionary | null {
  if (values.count === 0 || values.numbers instanceof Uint8Array) return null
  const limit = dictionaryMax(values.count)
  if (values.byteArrays.length > 0) return textDictionary(values, limit)
  return wordDictionary(values, limit)
}

const dictionarySlots = new Int32Array(4 * DICTIONARY_MAX)
const dictionaryFirsts = new Int32Array(DICTIONARY_MAX)
let dictionaryCodes = new Int32Array(0)

/** Distinct values by their bits, in an open hash table. The codes last until the next dictionary is made. */
function wordDictionary({ numbers, count }: LeafValues, limit: number): Dictionary | null {
  const words = new Int32Array(numbers.buffer, numbers.byteOffset, (count * numbers.BYTES_PER_ELEMENT) >> 2)
  const wide = numbers.BYTES_PER_ELEMENT === 8
  const slots = dictionarySlots.fill(-1)
  const mask = slots.length - 1
  const firsts = dictionaryFirsts
  if (dictionaryCodes.length < count) dictionaryCodes = new Int32Array(count)
  const codes = dictionaryCodes
  let size = 0
  for (let i = 0; i < count; i++) {
    const low = wide ? words[2 * i] : words[i]
    const high = wide ? words[2 * i + 1] : 0
    let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b)
    hash ^= hash >>> 15
    let slot = hash & mask
    for (;;) {
      const code = slots[slot]
      if (code < 0) {
        if (size >= limit) return null
        slots[slot] = size
        firsts[size] = i
        codes[i] = size++
        break
      }
      const first = firsts[code]
      if (wide ? words[2 * first] === low && words[2 * first + 1] === high : words[first] === low) {
        codes[i] = code
        break
      }
      slot = (slot + 1) & mask
    }
  }
  const distinct = numbers.slice(0, size)
  for (let code = 0; code < size; code++) distinct[code] = numbers[firsts[code]]
  return { values: { numbers: distinct, byteArrays: [], count: size }, codes }
}

function textDictionary({ byteArrays, count }: LeafValues, limit: number): Dictionary | null {
  const codeOf = new Map<string, number>()
  const distinct: Uint8Array[] = []
  const codes = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    const bytes = byteArrays[i]
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
    let code = codeOf.get(text)
    if (code === undefined) {
      if (distinct.length >= limit) return null
      code = distinct.push(bytes) - 1
      codeOf.set(text, code)
    }
    codes[i] = code
  }
  return { values: { numbers: new Float64Array(0), byteArrays: distinct, count: distinct.length }, codes }
}

function indexBytes({ values, codes }: Dictionary, count: number): Uint8Array {
  const width = Math.max(1, bitWidth(values.count - 1))
  const target = new Uint8Array(1 + hybridBytesMax(count, width))
  target[0] = width
  return target.subarray(0, writeHybrid(codes, count, width, target, 1))
}

function plainBytes({ numbers, byteArrays, count }: LeafValues, physicalType: number): Uint8Array {
  if (physicalType === PARQUET_TYPE.BYTE_ARRAY) {
    const parts: Uint8Array[] = []
    for (let i = 0; i < count; i++)
      parts.push(new Uint8Array(Uint32Array.of(byteArrays[i].length).buffer), byteArrays[i])
    return joined(parts)
  }
  if (physicalType !== PARQUET_TYPE.BOOLEAN)
    return new Uint8Array(numbers.buffer, numbers.byteOffset, count * numbers.BYTES_PER_ELEMENT)
  const bits = new Uint8Array(Math.ceil(count / 8))
  for (let i = 0; i < count; i++) if (numbers[i] === 1) bits[i >> 3] |= 1 << (i & 7)
  return bits
}

/** Data page version 1: repetition levels, definition levels, each with its length in front (absent where the greatest level is 0). */
function levelBytes(chunk: LeafChunk): Uint8Array[] {
  const parts: Uint8Array[] = []
  const add = (levels: Uint8Array | null, max: number): void => {
    if (max === 0) return
    const width = bitWidth(max)
    const target = new Uint8Array(4 + hybridBytesMax(levels === null ? 0 : chunk.entries, width))
    // Without levels one run of the greatest.
    const end =
      levels === null && chunk.entries > 0
        ? constantRun(chunk.entries, max, target)
        : writeHybrid(levels ?? new Uint8Array(0), chunk.entries, width, target, 4)
    new DataView(target.buffer).setUint32(0, end - 4, true)
    parts.push(target.subarray(0, end))
  }
  add(chunk.repetitions, chunk.repetitionMax)
  add(chunk.definitions, chunk.definitionMax)
  return parts
}

function constantRun(length: number, value: number, target: Uint8Array): number {
  let rest = length * 2
  let end = 4
  while (rest >= 0x80) {
    target[end++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[end++] = rest
  target[end++] = value
  return end
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? parts[0] : Buffer.concat(parts)
}
