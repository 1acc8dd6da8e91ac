import type { FieldPlan, ValueType } from '../../../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../../../features/values/column.ts'
import type { Column } from '../../../features/values/column.ts'
import { PARQUET_TYPE } from './column-chunk.ts'
import type { LeafChunk, LeafValues } from './column-chunk.ts'
import { shapeOf } from './value-leaves.ts'
import type { ColumnShape } from './value-leaves.ts'

const NO_NUMBERS = new Float64Array(0)
/** Of values, to begin with: most files of a live archive are small. */
const CAPACITY = 1024
const utf8 = new TextEncoder()

/**
 * One column of a row group in the making, from pieces of columns of events. As DuckDB stores fields: timestamps as INT64 epoch ms without a logical type, vectors as lists of
 * floats. What it gives depends on the rows alone, not on the pieces.
 */
export class ColumnAccumulator {
  readonly shape: ColumnShape
  readonly #leaf: LeafBuilder
  readonly #rowsMax: number
  #nulls = new Uint8Array(CAPACITY)
  #nullCount = 0
  #rows = 0

  constructor({ name, type }: FieldPlan, rowsMax: number) {
    const stored: ValueType = type.kind === 'timestamp' ? { kind: 'count' } : type
    this.shape = shapeOf(name, stored)
    this.#rowsMax = rowsMax
    this.#leaf = leafBuilder(type, this.shape.leaves[0].physicalType)
  }

  /** Rows from…to − 1 of a column of the field's type. */
  append(column: Column, from: number, to: number): void {
    const at = this.#rows
    this.#rows += to - from
    if (this.#rows > this.#rowsMax) throw new RangeError('a row group takes no more rows')
    this.#nulls = withRoom(this.#nulls, this.#rows)
    if (column.nulls !== null)
      for (let row = from; row < to; row++)
        if (column.nulls[row] === 1) {
          this.#nulls[at + row - from] = 1
          this.#nullCount++
        }
    this.#leaf.append(column, from, to)
  }

  /** The leaf of the rows so far; the accumulator is empty then. */
  finish(): LeafChunk {
    const rows = this.#rows
    const nulls = this.#nulls.slice(0, rows)
    const chunk = this.#leaf.finish(this.shape, rows, nulls, this.#nullCount)
    this.#nulls.fill(0)
    this.#nullCount = 0
    this.#rows = 0
    return chunk
  }
}

/** The array, or a larger one with the same values. */
function withRoom<A extends Float64Array | BigInt64Array | Int32Array | Uint8Array>(array: A, needed: number): A {
  if (needed <= array.length) return array
  const larger = new (array.constructor as new (length: number) => A)(Math.max(needed, 2 * array.length))
  larger.set(array as never)
  return larger
}

interface LeafBuilder {
  append(column: Column, from: number, to: number): void
  finish(shape: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk
}

function leafBuilder(type: FieldPlan['type'], physicalType: number): LeafBuilder {
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number':
      return new NumberLeaf(physicalType)
    case 'bool':
      return new WordLeaf(new Uint8Array(CAPACITY))
    case 'int64':
      return new WordLeaf(new BigInt64Array(CAPACITY))
    case 'string':
      return new TextLeaf()
    case 'bytes':
      return new BytesLeaf()
    case 'vector':
      return new VectorLeaf(type.kind === 'vector' ? type.length : 0)
  }
}

/** A leaf of a column without lists. */
function flatLeaf(
  { leaves: [leaf] }: ColumnShape,
  rows: number,
  {
    nulls,
    nullCount,
    values,
    range = null,
    dictionary,
  }: {
    nulls: Uint8Array
    nullCount: number
    values: LeafValues
    range?: LeafChunk['range']
    dictionary?: LeafChunk['dictionary']
  },
): LeafChunk {
  return {
    path: leaf.path,
    physicalType: leaf.physicalType,
    values,
    dictionary,
    entries: rows,
    nullCount,
    range,
    definitions: nullCount === 0 ? null : nulls.map((isNull) => 1 - isNull),
    definitionMax: 1,
    repetitions: null,
    repetitionMax: 0,
  }
}

class NumberLeaf implements LeafBuilder {
  readonly #physicalType: number
  #values = new Float64Array(CAPACITY)
  #at = 0

  constructor(physicalType: number) {
    this.#physicalType = physicalType
  }

  append(column: Column, from: number, to: number): void {
    this.#values = withRoom(this.#values, this.#at + to - from)
    this.#values.set((column as Column & { storage: 'number' }).values.subarray(from, to), this.#at)
    this.#at += to - from
  }

  finish(shape: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk {
    const present =
      nullCount === 0 ? this.#values.subarray(0, rows) : this.#values.subarray(0, rows).filter((_, i) => nulls[i] === 0)
    this.#at = 0
    let least = Infinity
    let greatest = -Infinity
    for (const value of present) {
      if (value < least) least = value
      if (value > greatest) greatest = value
    }
    const values = { numbers: narrowed(this.#physicalType, present), byteArrays: [], count: present.length }
    return flatLeaf(shape, rows, { nulls, nullCount, values, range: present.length === 0 ? null : [least, greatest] })
  }
}

function narrowed(physicalType: number, values: Float64Array): LeafValues['numbers'] {
  if (physicalType === PARQUET_TYPE.INT32) return Int32Array.from(values)
  if (physicalType === PARQUET_TYPE.FLOAT) return Float32Array.from(values)
  if (physicalType === PARQUET_TYPE.DOUBLE) return values.slice()
  // Safe integers as 64-bit ones, without a bigint each.
  const wide = new BigInt64Array(values.length)
  const words = new Uint32Array(wide.buffer)
  for (let i = 0; i < values.length; i++) {
    words[2 * i] = values[i] >>> 0
    words[2 * i + 1] = Math.floor(values[i] / 4294967296) >>> 0
  }
  return wide
}

/** int64 and bool. */
class WordLeaf<A extends BigInt64Array | Uint8Array> implements LeafBuilder {
  #values: A
  #at = 0

  constructor(values: A) {
    this.#values = values
  }

  append(column: Column, from: number, to: number): void {
    const { values } = column as unknown as { values: A }
    this.#values = withRoom(this.#values, this.#at + to - from)
    this.#values.set(values.subarray(from, to) as never, this.#at)
    this.#at += to - from
  }

  finish(shape: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk {
    const held = this.#values.slice(0, rows) as BigInt64Array
    const present = nullCount === 0 ? held : held.filter((_, i) => nulls[i] === 0)
    this.#at = 0
    return flatLeaf(shape, rows, {
      nulls,
      nullCount,
      values: { numbers: present, byteArrays: [], count: present.length },
    })
  }
}

/** Texts by their number in order of first use. */
class TextLeaf implements LeafBuilder {
  #codes = new Int32Array(CAPACITY)
  #count = 0
  #codeOf = new Map<string, number>()
  #texts: Uint8Array[] = []

  append(column: Column, from: number, to: number): void {
    const { codes, dictionary, nulls } = column as Column & { storage: 'string' }
    const own = new Int32Array(dictionary.length).fill(-1)
    this.#codes = withRoom(this.#codes, this.#count + to - from)
    for (let row = from; row < to; row++) {
      if (nulls !== null && nulls[row] === 1) continue
      const code = codes[row]
      if (own[code] < 0) own[code] = this.#number(dictionary[code])
      this.#codes[this.#count++] = own[code]
    }
  }

  #number(text: string): number {
    let number = this.#codeOf.get(text)
    if (number === undefined) {
      number = this.#texts.push(utf8.encode(text)) - 1
      this.#codeOf.set(text, number)
    }
    return number
  }

  finish(shape: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk {
    const texts = this.#texts
    const codes = this.#codes.slice(0, this.#count)
    const values = { numbers: NO_NUMBERS, byteArrays: Array.from(codes, (code) => texts[code]), count: codes.length }
    const dictionary = { values: { numbers: NO_NUMBERS, byteArrays: texts, count: texts.length }, codes }
    this.#texts = []
    this.#codeOf = new Map()
    this.#count = 0
    return flatLeaf(shape, rows, { nulls, nullCount, values, dictionary })
  }
}

class BytesLeaf implements LeafBuilder {
  #values: Uint8Array[] = []

  append(column: Column, from: number, to: number): void {
    const { values, nulls } = column as Column & { storage: 'bytes' }
    for (let row = from; row < to; row++) if (nulls === null || nulls[row] === 0) this.#values.push(values[row])
  }

  finish(shape: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk {
    const byteArrays = this.#values
    this.#values = []
    return flatLeaf(shape, rows, {
      nulls,
      nullCount,
      values: { numbers: NO_NUMBERS, byteArrays, count: byteArrays.length },
    })
  }
}

/** A list of `length` floats in each row that is not null. */
class VectorLeaf implements LeafBuilder {
  readonly #length: number
  #pieces: Float32Array[] = []

  constructor(length: number) {
    this.#length = length
  }

  append(column: Column, from: number, to: number): void {
    const { values, nulls } = column as Column & { storage: 'vector' }
    const length = this.#length
    for (let row = from; row < to; row++)
      if (nulls === null || nulls[row] === 0) this.#pieces.push(values.slice(row * length, (row + 1) * length))
  }

  finish({ leaves: [leaf] }: ColumnShape, rows: number, nulls: Uint8Array, nullCount: number): LeafChunk {
    const length = this.#length
    const numbers = new Float32Array(this.#pieces.length * length)
    this.#pieces.forEach((piece, i) => numbers.set(piece, i * length))
    this.#pieces = []
    const definitions: number[] = []
    const repetitions: number[] = []
    for (let row = 0; row < rows; row++) {
      // A null, or an empty list where vectors have no components: one entry without a value.
      if (nulls[row] === 1 || length === 0) {
        definitions.push(nulls[row] === 1 ? 0 : 1)
        repetitions.push(0)
        continue
      }
      for (let i = 0; i < length; i++) {
        definitions.push(leaf.definition)
        repetitions.push(i === 0 ? 0 : 1)
      }
    }
    return {
      path: leaf.path,
      physicalType: leaf.physicalType,
      values: { numbers, byteArrays: [], count: numbers.length },
      entries: definitions.length,
      nullCount: length === 0 ? rows : nullCount,
      range: null,
      definitions: Uint8Array.from(definitions),
      definitionMax: leaf.definition,
      repetitions: Uint8Array.from(repetitions),
      repetitionMax: leaf.repetition,
    }
  }
}
