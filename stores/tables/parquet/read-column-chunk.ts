import { readSync } from 'node:fs'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { CODEC, ENCODING, PAGE, PARQUET_TYPE } from './column-chunk.ts'
import type { ChunkPlace } from './flat-columns.ts'
import { readHybrid } from './hybrid-runs.ts'
import { decodeThriftAt } from './thrift-compact.ts'
import type { ThriftStruct } from './thrift-compact.ts'

/** Texts as they lie in pages: row i is entry `codes[i]`, bytes `starts[entry]`…`ends[entry]` − 1. */
export interface ReadTexts {
  readonly storage: 'texts'
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
  /** Meaningless where null. */
  readonly codes: Int32Array
  readonly nulls: Uint8Array | null
}

/** Doubles, integers up to 2^53 and booleans (0, 1) as doubles, or 64-bit integers as they are; 0 where null. */
export interface ReadNumbers<V extends Float64Array | BigInt64Array = Float64Array | BigInt64Array> {
  readonly storage: 'numbers'
  readonly values: V
  readonly nulls: Uint8Array | null
}

/** False and true. */
const twoValues = Float64Array.of(0, 1)

interface Page {
  readonly kind: number
  readonly values: number
  readonly encoding: number
  /** Unpacked. */
  readonly data: Uint8Array
  /** Of values, after the levels. */
  readonly at: number
  /** Levels of optional values as hybrid runs. */
  readonly levels: Uint8Array | null
}

/** Reads a chunk of numbers as doubles, into `values` where given, one per row; bytes that are not Parquet throw RangeError. */
export function readNumberChunk(
  file: number,
  place: ChunkPlace,
  values: Float64Array = new Float64Array(place.rows),
): ReadNumbers<Float64Array> {
  const nulls = readNumbers(file, place, values, (page, count, into) =>
    plainDoubles(page, count, place.physicalType, into),
  )
  return { storage: 'numbers', values, nulls }
}

/** Reads a chunk of INT64 without rounding, into `values` where given. */
export function readIntegerChunk(
  file: number,
  place: ChunkPlace,
  values: BigInt64Array = new BigInt64Array(place.rows),
): ReadNumbers<BigInt64Array> {
  const nulls = readNumbers(file, place, values, plainIntegers)
  return { storage: 'numbers', values, nulls }
}

function readNumbers<V extends Float64Array | BigInt64Array>(
  file: number,
  place: ChunkPlace,
  values: V,
  plain: (page: Page, count: number, into: V) => void,
): Uint8Array | null {
  let dictionary: V | null = null
  let nulls: Uint8Array | null = null
  let row = 0
  for (const page of pagesOf(file, place)) {
    if (page.kind === PAGE.DICTIONARY) {
      dictionary = new (values.constructor as new (length: number) => V)(page.values)
      plain(page, page.values, dictionary)
      continue
    }
    const present = readLevels(page, row, place.rows, () => (nulls ??= new Uint8Array(place.rows)))
    const target = values.subarray(row, row + page.values) as V
    if (page.encoding === ENCODING.PLAIN) plain(page, present, target)
    else {
      const codes = scratch(present)
      if (page.encoding === ENCODING.RLE) {
        // Booleans of newer writers.
        readHybrid(page.data, page.at + 4, 1, codes, present)
        dictionary ??= twoValues as V
      } else readCodes(page, present, codes)
      if (dictionary === null) throw new RangeError('a page refers to a dictionary that is not there')
      for (let i = 0; i < present; i++) target[i] = dictionary[codes[i]]
    }
    if (present < page.values) spread(target, nulls as unknown as Uint8Array, row, present)
    row += page.values
  }
  if (row !== place.rows) throw new RangeError(`a column chunk has ${row} values, expected ${place.rows}`)
  return nulls
}

/** Reads a chunk of byte arrays. */
export function readTextChunk(file: number, place: ChunkPlace): ReadTexts {
  const codes = new Int32Array(place.rows)
  const starts: Int32Array[] = []
  const ends: Int32Array[] = []
  const parts: Uint8Array[] = []
  let entries = 0
  let length = 0
  let nulls: Uint8Array | null = null
  let row = 0
  const add = (page: Page, count: number): void => {
    const from = new Int32Array(count)
    const to = new Int32Array(count)
    plainTexts(page, count, length, from, to)
    starts.push(from)
    ends.push(to)
    parts.push(page.data.buffer === packedBytes.buffer ? Buffer.from(page.data) : page.data)
    length += page.data.length
    entries += count
  }
  for (const page of pagesOf(file, place)) {
    if (page.kind === PAGE.DICTIONARY) {
      add(page, page.values)
      continue
    }
    const present = readLevels(page, row, place.rows, () => (nulls ??= new Uint8Array(place.rows)))
    const target = codes.subarray(row, row + page.values)
    if (page.encoding === ENCODING.PLAIN) {
      for (let i = 0; i < present; i++) target[i] = entries + i
      add(page, present)
    } else readCodes(page, present, target)
    if (present < page.values) spread(target, nulls as unknown as Uint8Array, row, present)
    row += page.values
  }
  if (row !== place.rows) throw new RangeError(`a column chunk has ${row} values, expected ${place.rows}`)
  return {
    storage: 'texts',
    bytes: parts.length === 1 ? parts[0] : Buffer.concat(parts),
    starts: concatenated(starts, entries),
    ends: concatenated(ends, entries),
    codes,
    nulls,
  }
}

function concatenated(parts: readonly Int32Array[], length: number): Int32Array {
  if (parts.length === 1) return parts[0]
  const all = new Int32Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

let packedBytes = Buffer.alloc(0)

/** A page is read before the next one is, but pages of texts are kept: they are never views of the bytes that are read here. */
function* pagesOf(file: number, place: ChunkPlace): Generator<Page> {
  if (packedBytes.length < place.bytes) packedBytes = Buffer.allocUnsafeSlow(place.bytes)
  const bytes = packedBytes.subarray(0, place.bytes)
  for (let at = 0; at < bytes.length;) {
    const read = readSync(file, bytes, at, bytes.length - at, place.start + at)
    if (read === 0) throw new RangeError('the file ends early')
    at += read
  }
  let rows = 0
  for (let at = 0; rows < place.rows;) {
    const { struct: header, end } = decodeThriftAt(bytes, at)
    const packed = Number(header.get(3)?.value)
    const page = openPage(header, bytes.subarray(end, end + packed), place)
    at = end + packed
    if (page === null) continue
    if (page.kind !== PAGE.DICTIONARY) rows += page.values
    yield page
  }
}

/** Null for pages that hold no values. */
function openPage(header: ThriftStruct, packed: Uint8Array, { codec, isOptional }: ChunkPlace): Page | null {
  const kind = Number(header.get(1)?.value)
  const size = Number(header.get(2)?.value)
  if (kind === PAGE.DICTIONARY) {
    const { values, encoding } = counted(header, 7, 2)
    return { kind, values, encoding, data: unpack(packed, codec, size), at: 0, levels: null }
  }
  if (kind === PAGE.DATA) {
    const { values, encoding } = counted(header, 5, 2)
    const data = unpack(packed, codec, size)
    if (!isOptional) return { kind, values, encoding, data, at: 0, levels: null }
    const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true)
    return { kind, values, encoding, data, at: 4 + length, levels: data.subarray(4, 4 + length) }
  }
  if (kind !== PAGE.DATA_V2) return null
  const { values, encoding, struct } = counted(header, 8, 4)
  const levels = Number(struct.get(5)?.value) + Number(struct.get(6)?.value)
  const isPacked = struct.get(7)?.value !== false
  const data = unpack(packed.subarray(levels), isPacked ? codec : CODEC.UNCOMPRESSED, size - levels)
  return { kind, values, encoding, data, at: 0, levels: isOptional ? packed.subarray(0, levels) : null }
}

function counted(header: ThriftStruct, id: number, encodingId: number) {
  const struct = header.get(id)?.value as ThriftStruct
  return { struct, values: Number(struct.get(1)?.value), encoding: Number(struct.get(encodingId)?.value) }
}

/** Aligned, so that numbers can be viewed where they lie. */
function unpack(packed: Uint8Array, codec: number, size: number): Uint8Array {
  if (size === 0) return new Uint8Array(0)
  // One piece of the right size, not many that are joined.
  const options = { chunkSize: Math.max(64, size) }
  if (codec === CODEC.ZSTD) return zstdDecompressSync(packed, options)
  if (codec === CODEC.GZIP) return gunzipSync(packed, options)
  return packed
}

let scratched = new Int32Array(0)

/** Room for numbers that are read before the next ones are; what is in it is left from others. */
function scratch(length: number): Int32Array {
  if (scratched.length < length) scratched = new Int32Array(length)
  return scratched
}

/** Whether all of `count` levels are 1, in one run. */
function isOneRun(levels: Uint8Array, count: number): boolean {
  let head = 0
  let next = 0
  for (let shift = 0; shift <= 28; shift += 7) {
    const byte = levels[next++]
    head |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return (head & 1) === 0 && head >>> 1 >= count && levels[next] === 1
}

/** Marks nulls; returns how many values are there. */
function readLevels(page: Page, row: number, rows: number, nulls: () => Uint8Array): number {
  if (row + page.values > rows) throw new RangeError('a column chunk has more values than its row group has rows')
  if (page.levels === null || isOneRun(page.levels, page.values)) return page.values
  const levels = scratch(page.values)
  readHybrid(page.levels, 0, 1, levels, page.values)
  let present = 0
  for (let i = 0; i < page.values; i++) present += levels[i]
  if (present === page.values) return present
  const marks = nulls()
  for (let i = 0; i < page.values; i++) marks[row + i] = 1 - levels[i]
  return present
}

function readCodes({ data, at }: Page, count: number, codes: Int32Array): void {
  if (count > 0) readHybrid(data, at + 1, data[at], codes, count)
}

/** Values that lie close together move to the rows that are not null. */
function spread<A extends Float64Array | BigInt64Array | Int32Array>(
  target: A,
  nulls: Uint8Array,
  row: number,
  present: number,
): void {
  const zero = (target instanceof BigInt64Array ? 0n : 0) as never
  let from = present - 1
  for (let i = target.length - 1; i >= 0; i--) target[i] = nulls[row + i] === 1 ? zero : target[from--]
}

function plainDoubles({ data, at }: Page, count: number, physicalType: number, into: Float64Array): void {
  switch (physicalType) {
    case PARQUET_TYPE.DOUBLE:
      new Uint8Array(into.buffer, into.byteOffset, 8 * count).set(bytesAt(data, at, 8 * count))
      return
    case PARQUET_TYPE.FLOAT: {
      const values = new Float32Array(aligned(data, at, 4 * count))
      for (let i = 0; i < count; i++) into[i] = values[i]
      return
    }
    case PARQUET_TYPE.INT32: {
      const values = new Int32Array(aligned(data, at, 4 * count))
      for (let i = 0; i < count; i++) into[i] = values[i]
      return
    }
    case PARQUET_TYPE.INT64: {
      // Low words unsigned, high words signed.
      const buffer = aligned(data, at, 8 * count)
      const low = new Uint32Array(buffer)
      const high = new Int32Array(buffer)
      for (let i = 0; i < count; i++) into[i] = high[2 * i + 1] * 4294967296 + low[2 * i]
      return
    }
    default:
      for (let i = 0; i < count; i++) into[i] = (data[at + (i >> 3)] >> (i & 7)) & 1
  }
}

function plainIntegers({ data, at }: Page, count: number, into: BigInt64Array): void {
  new Uint8Array(into.buffer, into.byteOffset, 8 * count).set(bytesAt(data, at, 8 * count))
}

/** A copy: values begin where they happen to. */
function aligned(data: Uint8Array, at: number, length: number): ArrayBuffer {
  return new Uint8Array(bytesAt(data, at, length)).buffer
}

function bytesAt(data: Uint8Array, at: number, length: number): Uint8Array {
  if (at + length > data.length) throw new RangeError('a page ends before its values')
  return data.subarray(at, at + length)
}

/** Where entries lie if the page's data begins at `base`. */
function plainTexts({ data, at }: Page, count: number, base: number, starts: Int32Array, ends: Int32Array): void {
  let next = at
  for (let i = 0; i < count; i++) {
    const length = data[next] | (data[next + 1] << 8) | (data[next + 2] << 16) | (data[next + 3] << 24)
    starts[i] = base + next + 4
    next += 4 + length
    if (length < 0 || next > data.length) throw new RangeError('a text reaches beyond its page')
    ends[i] = base + next
  }
}
