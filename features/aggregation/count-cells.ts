import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/** Number of events; with a boolean input (`countWhere`) of those whose input is true. Canonical bytes: varint. */
export class CountCells implements Cells {
  count = new Float64Array(0)

  grow(count: number): void {
    this.count = growFloats(this.count, count)
  }

  clear(from: number, to: number): void {
    this.count.fill(0, from, to)
  }

  isEmpty(cell: number): boolean {
    return this.count[cell] === 0
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const { count } = this
    const flags = input.column !== null && input.column.storage === 'bool' ? input.column.values : null
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell >= 0) count[cell] += flags === null ? 1 : flags[i]
    }
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    let sum = this.count[into]
    for (let cell = from; cell < to; cell++) sum += source.count[cell]
    this.count[into] = sum
  }

  subtract(into: number, source: this, cell: number): void {
    this.count[into] -= source.count[cell]
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.varint(this.count[cell])
  }

  encodeMany(cells: Int32Array, count: number, writer: ByteWriter): void {
    for (let i = 0; i < count; i++) this.encode(cells[i], writer)
  }

  decode(cell: number, reader: ByteReader): void {
    this.count[cell] = reader.varint()
  }
}
