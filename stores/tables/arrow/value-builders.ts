import { Bool, Field, List, makeData, Map_, Null, Struct } from 'apache-arrow'
import type { Binary, Data, DataType, Decimal, Utf8 } from 'apache-arrow'
import type { DuckDBValue } from '@duckdb/node-api'

/** One column of a record batch in the making: values as DuckDB gives them, null where there is none. */
export interface ColumnBuilder {
  readonly type: DataType
  /** About how much memory the values take. */
  readonly bytes: number
  append(value: DuckDBValue): void
  /** What was appended; the builder is empty then. */
  finish(): Data
}

type NumberArray =
  | Float64Array
  | Float32Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array

/** Which rows are there: bit i of byte i / 8. */
class Validity {
  #bits = new Uint8Array(64)
  length = 0
  nulls = 0

  add(isThere: boolean): void {
    if (this.length >> 3 === this.#bits.length) this.#bits = grown(this.#bits, 2 * this.#bits.length)
    if (isThere) this.#bits[this.length >> 3] |= 1 << (this.length & 7)
    else this.nulls++
    this.length++
  }

  /** What `makeData` takes; the bitmap is left out where nothing is null. */
  finish(): { length: number; nullCount: number; nullBitmap: Uint8Array | null } {
    const { length, nulls } = this
    const nullBitmap = nulls === 0 ? null : this.#bits.slice(0, (length + 7) >> 3)
    this.#bits = new Uint8Array(64)
    this.length = 0
    this.nulls = 0
    return { length, nullCount: nulls, nullBitmap }
  }
}

function grown<A extends NumberArray>(array: A, capacity: number): A {
  const larger = new (array.constructor as new (length: number) => A)(capacity)
  larger.set(array as never)
  return larger
}

const asItIs = (value: DuckDBValue): unknown => value

export class NumberBuilder implements ColumnBuilder {
  readonly type: DataType
  readonly #validity = new Validity()
  readonly #read: (value: DuckDBValue) => unknown
  #values: NumberArray

  constructor(type: DataType, values: NumberArray, read: (value: DuckDBValue) => unknown = asItIs) {
    this.type = type
    this.#values = values
    this.#read = read
  }

  get bytes(): number {
    return 8 * this.#validity.length
  }

  append(value: DuckDBValue): void {
    const at = this.#validity.length
    if (at === this.#values.length) this.#values = grown(this.#values, Math.max(1024, 2 * at))
    if (value !== null) this.#values[at] = this.#read(value) as never
    this.#validity.add(value !== null)
  }

  /** False, and nothing happens, where the items are of another kind, or are converted. */
  appendAll(items: unknown, rows: number): boolean {
    if (this.#read !== asItIs || items === null || (items as object).constructor !== this.#values.constructor)
      return false
    const at = this.#validity.length
    if (at + rows > this.#values.length) this.#values = grown(this.#values, Math.max(at + rows, 2 * at))
    this.#values.set((items as NumberArray).subarray(0, rows) as never, at)
    for (let i = 0; i < rows; i++) this.#validity.add(true)
    return true
  }

  finish(): Data {
    const validity = this.#validity.finish()
    const data = this.#values.slice(0, validity.length)
    this.#values = this.#values.slice(0, 0)
    return makeData({ type: this.type, ...validity, data } as never)
  }
}

export class DecimalBuilder implements ColumnBuilder {
  readonly type: Decimal
  readonly #validity = new Validity()
  #words: bigint[] = []

  constructor(type: Decimal) {
    this.type = type
  }

  get bytes(): number {
    return 16 * this.#validity.length
  }

  append(value: DuckDBValue): void {
    const whole = value === null ? 0n : (value as unknown as { value: bigint }).value
    this.#words.push(BigInt.asUintN(64, whole), BigInt.asUintN(64, whole >> 64n))
    this.#validity.add(value !== null)
  }

  finish(): Data {
    const data = new Uint32Array(BigUint64Array.from(this.#words).buffer)
    this.#words = []
    return makeData({ type: this.type, ...this.#validity.finish(), data } as never)
  }
}

export class BoolBuilder implements ColumnBuilder {
  readonly type = new Bool()
  readonly #validity = new Validity()
  #bits = new Validity()

  get bytes(): number {
    return this.#validity.length
  }

  append(value: DuckDBValue): void {
    this.#validity.add(value !== null)
    this.#bits.add(value === true)
  }

  finish(): Data {
    const { length, nullBitmap } = this.#bits.finish()
    const data = nullBitmap ?? new Uint8Array((length + 7) >> 3).fill(0xff)
    return makeData({ type: this.type, ...this.#validity.finish(), data } as never)
  }
}

export class BytesBuilder implements ColumnBuilder {
  readonly type: Utf8 | Binary
  readonly #validity = new Validity()
  readonly #bytesOf: (value: DuckDBValue) => Uint8Array
  #parts: Uint8Array[] = []
  bytes = 0

  constructor(type: Utf8 | Binary, bytesOf: (value: DuckDBValue) => Uint8Array) {
    this.type = type
    this.#bytesOf = bytesOf
  }

  append(value: DuckDBValue): void {
    this.#validity.add(value !== null)
    const part = value === null ? NO_BYTES : this.#bytesOf(value)
    this.#parts.push(part)
    this.bytes += STRING_BYTES + part.length
  }

  finish(): Data {
    const valueOffsets = offsetsOf(this.#parts.map(({ length }) => length))
    const data = Buffer.concat(this.#parts)
    this.#parts = []
    this.bytes = 0
    return makeData({ type: this.type, ...this.#validity.finish(), valueOffsets, data } as never)
  }
}

const NO_BYTES = new Uint8Array(0)
const STRING_BYTES = 64

function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1)
  lengths.forEach((length, i) => (offsets[i + 1] = offsets[i] + length))
  return offsets
}

export class ListBuilder implements ColumnBuilder {
  readonly type: List
  readonly #validity = new Validity()
  readonly #child: ColumnBuilder
  #lengths: number[] = []

  constructor(child: ColumnBuilder) {
    this.type = new List(new Field('item', child.type, true))
    this.#child = child
  }

  get bytes(): number {
    return 4 * this.#validity.length + this.#child.bytes
  }

  append(value: DuckDBValue): void {
    const items = value === null ? [] : (value as unknown as { items: readonly DuckDBValue[] }).items
    this.#validity.add(value !== null)
    this.#lengths.push(items.length)
    for (const item of items) this.#child.append(item)
  }

  finish(): Data {
    const valueOffsets = offsetsOf(this.#lengths)
    this.#lengths = []
    return makeData({
      type: this.type,
      ...this.#validity.finish(),
      valueOffsets,
      child: this.#child.finish(),
    } as never)
  }
}

export class MapBuilder implements ColumnBuilder {
  readonly type: Map_
  readonly #validity = new Validity()
  readonly #key: ColumnBuilder
  readonly #value: ColumnBuilder
  readonly #entries: Struct
  #lengths: number[] = []

  constructor(key: ColumnBuilder, value: ColumnBuilder) {
    this.#key = key
    this.#value = value
    this.#entries = new Struct([new Field('key', key.type, false), new Field('value', value.type, true)])
    this.type = new Map_(new Field('entries', this.#entries, false) as never, false)
  }

  get bytes(): number {
    return 4 * this.#validity.length + this.#key.bytes + this.#value.bytes
  }

  append(value: DuckDBValue): void {
    const entries =
      value === null
        ? []
        : (value as unknown as { entries: readonly { key: DuckDBValue; value: DuckDBValue }[] }).entries
    this.#validity.add(value !== null)
    this.#lengths.push(entries.length)
    for (const entry of entries) {
      this.#key.append(entry.key)
      this.#value.append(entry.value)
    }
  }

  finish(): Data {
    const valueOffsets = offsetsOf(this.#lengths)
    const length = valueOffsets[this.#lengths.length]
    this.#lengths = []
    const children = [this.#key.finish(), this.#value.finish()]
    const child = makeData({ type: this.#entries, length, nullCount: 0, children } as never)
    return makeData({ type: this.type, ...this.#validity.finish(), valueOffsets, child } as never)
  }
}

export class StructBuilder implements ColumnBuilder {
  readonly type: Struct
  readonly #validity = new Validity()
  readonly #names: readonly string[]
  readonly #children: readonly ColumnBuilder[]

  constructor(names: readonly string[], children: readonly ColumnBuilder[]) {
    this.type = new Struct(names.map((name, i) => new Field(name, children[i].type, true)))
    this.#names = names
    this.#children = children
  }

  get bytes(): number {
    return this.#children.reduce((sum, { bytes }) => sum + bytes, this.#validity.length)
  }

  append(value: DuckDBValue): void {
    const entries = (value as { entries?: Readonly<Record<string, DuckDBValue>> } | null)?.entries
    this.#validity.add(value !== null)
    this.#names.forEach((name, i) => this.#children[i].append(entries?.[name] ?? null))
  }

  finish(): Data {
    const children = this.#children.map((child) => child.finish())
    return makeData({ type: this.type, ...this.#validity.finish(), children } as never)
  }
}

export class NullBuilder implements ColumnBuilder {
  readonly type = new Null()
  #length = 0

  get bytes(): number {
    return 0
  }

  append(): void {
    this.#length++
  }

  finish(): Data {
    const length = this.#length
    this.#length = 0
    return makeData({ type: this.type, length } as never)
  }
}
