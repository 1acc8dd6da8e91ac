import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/** Least number (sign 1) or greatest (sign −1). Held as sign · value, so that both are a minimum; Infinity is the identity. Canonical bytes: f64. */
export class ExtremeCells implements Cells {
  readonly sign: 1 | -1
  least = new Float64Array(0)

  constructor(sign: 1 | -1) {
    this.sign = sign
  }

  grow(count: number): void {
    this.least = growFloats(this.least, count, Infinity)
  }

  clear(from: number, to: number): void {
    this.least.fill(Infinity, from, to)
  }

  isEmpty(cell: number): boolean {
    return this.least[cell] === Infinity
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const { least, sign } = this
    if (input.column === null || input.column.storage !== 'number') throw new TypeError('min and max read numbers')
    const values = input.column.values
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0) continue
      const value = sign * values[i]
      if (value < least[cell]) least[cell] = value
    }
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    let best = this.least[into]
    for (let cell = from; cell < to; cell++) if (source.least[cell] < best) best = source.least[cell]
    this.least[into] = best
  }

  value(cell: number): number {
    return this.sign * this.least[cell] + 0
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.f64(this.least[cell] + 0)
  }

  encodeMany(cells: Int32Array, count: number, writer: ByteWriter): void {
    for (let i = 0; i < count; i++) this.encode(cells[i], writer)
  }

  decode(cell: number, reader: ByteReader): void {
    this.least[cell] = reader.f64()
  }
}
