import type { FieldType, Value } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import { columnValue } from '../values/column.ts'
import { readValue, writeValue } from '../values/value-codec.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'
import { compareKeys, keyReader, keyToValue, readKey, writeKey } from './value-keys.ts'
import type { ValueKey } from './value-keys.ts'

export interface PlacedValue {
  readonly tau: number
  readonly offset: number
  readonly index: number
  readonly value: Value
}

/** The n best items of a total order, best first. */
abstract class BestFold<T> implements Fold<T[]> {
  readonly n: number

  constructor(n: number) {
    this.n = n
  }

  abstract adder(input: SlotInput): (state: T[], row: number) => void
  /** Negative: `a` is better. */
  protected abstract compare(a: T, b: T): number
  protected abstract write(item: T, writer: ByteWriter): void
  protected abstract read(reader: ByteReader): T

  create(): T[] {
    return []
  }

  isEmpty(state: T[]): boolean {
    return state.length === 0
  }

  merge(into: T[], from: T[]): void {
    for (const item of from) if (!this.insert(into, item)) return
  }

  /** Canonical bytes: varint number of items, the items, best first. */
  encode(state: T[], writer: ByteWriter): void {
    writer.varint(state.length)
    for (const item of state) this.write(item, writer)
  }

  decode(reader: ByteReader): T[] {
    const length = reader.varint()
    if (length > reader.remaining) throw new RangeError(`a state of ${length} values in ${reader.remaining} bytes`)
    return Array.from({ length }, () => this.read(reader))
  }

  /** False where the item is not among the best. */
  protected insert(state: T[], item: T): boolean {
    let at = state.length
    while (at > 0 && this.compare(item, state[at - 1]) < 0) at--
    if (at >= this.n) return false
    state.splice(at, 0, item)
    if (state.length > this.n) state.pop()
    return true
  }
}

/** First (sign 1) or last (sign −1) n values by (τ, offset, index): firstN oldest first, lastN newest first. */
export class PlacedFold extends BestFold<PlacedValue> {
  readonly sign: 1 | -1
  readonly type: FieldType

  constructor(sign: 1 | -1, n: number, type: FieldType) {
    super(n)
    this.sign = sign
    this.type = type
  }

  adder(input: SlotInput): (state: PlacedValue[], row: number) => void {
    const { column, tau, offset, index } = input
    if (column === null) throw new TypeError('firstN and lastN need a column')
    return (state, row) => {
      const value = columnValue(column, row)
      const kept = value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value
      this.insert(state, { tau: tau[row], offset: offset[row], index: index[row], value: kept })
    }
  }

  protected compare(a: PlacedValue, b: PlacedValue): number {
    return this.sign * (a.tau - b.tau || a.offset - b.offset || a.index - b.index)
  }

  protected write(item: PlacedValue, writer: ByteWriter): void {
    writer.svarint(item.tau)
    writer.varint(item.offset)
    writer.varint(item.index)
    writeValue(this.type, item.value, writer)
  }

  protected read(reader: ByteReader): PlacedValue {
    const tau = reader.svarint()
    const offset = reader.varint()
    const index = reader.varint()
    return { tau, offset, index, value: readValue(this.type, reader) }
  }
}

/** Least (sign 1) or greatest (sign −1) n values, equal ones as often as they occur: bottomN ascending, topN descending. */
export class RankedFold extends BestFold<ValueKey> {
  readonly sign: 1 | -1
  readonly type: FieldType

  constructor(sign: 1 | -1, n: number, type: FieldType) {
    super(n)
    this.sign = sign
    this.type = type
  }

  adder(input: SlotInput): (state: ValueKey[], row: number) => void {
    if (input.column === null) throw new TypeError('topN and bottomN need a column')
    const key = keyReader(input.column)
    return (state, row) => this.insert(state, key(row))
  }

  values(state: readonly ValueKey[]): Value[] {
    return state.map((key) => keyToValue(this.type, key))
  }

  protected compare(a: ValueKey, b: ValueKey): number {
    return this.sign * compareKeys(a, b)
  }

  protected write(key: ValueKey, writer: ByteWriter): void {
    writeKey(this.type, key, writer)
  }

  protected read(reader: ByteReader): ValueKey {
    return readKey(this.type, reader)
  }
}
