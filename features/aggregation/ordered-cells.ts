import type { FieldType, Value } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Column } from '../values/column.ts'
import { columnValue } from '../values/column.ts'
import { readValue, writeValue } from '../values/value-codec.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/*
 * The value of the first (sign 1) or last (sign −1) event by (τ, offset, index). Canonical bytes:
 *
 *   u8 0 (no event) | u8 1, svarint τ, varint offset, varint index, value (see value-codec.ts)
 *
 * `latest` sees null inputs (its newest event may carry null); for first and last the caller skips them.
 */
export class OrderedCells implements Cells {
  readonly sign: 1 | -1
  readonly type: FieldType
  tau = new Float64Array(0)
  offset = new Float64Array(0)
  index = new Float64Array(0)
  readonly values: Value[] = []

  constructor(sign: 1 | -1, type: FieldType) {
    this.sign = sign
    this.type = type
  }

  grow(count: number): void {
    this.tau = growFloats(this.tau, count, NaN)
    this.offset = growFloats(this.offset, count)
    this.index = growFloats(this.index, count)
    while (this.values.length < count) this.values.push(null)
  }

  clear(from: number, to: number): void {
    this.tau.fill(NaN, from, to)
    this.values.fill(null, from, to)
  }

  isEmpty(cell: number): boolean {
    return Number.isNaN(this.tau[cell])
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const column = input.column as Column
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0 || !this.#isBefore(input.tau[i], input.offset[i], input.index[i], cell)) continue
      this.tau[cell] = input.tau[i]
      this.offset[cell] = input.offset[i]
      this.index[cell] = input.index[i]
      const value = columnValue(column, i)
      this.values[cell] = value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value
    }
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    for (let cell = from; cell < to; cell++) {
      if (source.isEmpty(cell)) continue
      if (!this.#isBefore(source.tau[cell], source.offset[cell], source.index[cell], into)) continue
      this.tau[into] = source.tau[cell]
      this.offset[into] = source.offset[cell]
      this.index[into] = source.index[cell]
      this.values[into] = source.values[cell]
    }
  }

  encode(cell: number, writer: ByteWriter): void {
    if (this.isEmpty(cell)) return writer.u8(0)
    writer.u8(1)
    writer.svarint(this.tau[cell])
    writer.varint(this.offset[cell])
    writer.varint(this.index[cell])
    writeValue(this.type, this.values[cell], writer)
  }

  decode(cell: number, reader: ByteReader): void {
    this.clear(cell, cell + 1)
    if (reader.u8() === 0) return
    this.tau[cell] = reader.svarint()
    this.offset[cell] = reader.varint()
    this.index[cell] = reader.varint()
    this.values[cell] = readValue(this.type, reader)
  }

  /** Whether an event at this place wins over the one held (an empty cell holds none). */
  #isBefore(tau: number, offset: number, index: number, cell: number): boolean {
    const held = this.tau[cell]
    if (Number.isNaN(held)) return true
    const order = tau - held || offset - this.offset[cell] || index - this.index[cell]
    return order * this.sign < 0
  }
}
