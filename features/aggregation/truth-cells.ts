import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/** Number of true and of all booleans (any, all). Canonical bytes: varint all, varint true. */
export class TruthCells implements Cells {
  count = new Float64Array(0)
  truths = new Float64Array(0)

  grow(count: number): void {
    this.count = growFloats(this.count, count)
    this.truths = growFloats(this.truths, count)
  }

  clear(from: number, to: number): void {
    this.count.fill(0, from, to)
    this.truths.fill(0, from, to)
  }

  isEmpty(cell: number): boolean {
    return this.count[cell] === 0
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    if (input.column === null || input.column.storage !== 'bool') throw new TypeError('any and all read booleans')
    const { count, truths } = this
    const { values } = input.column
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0) continue
      count[cell]++
      truths[cell] += values[i]
    }
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    for (let cell = from; cell < to; cell++) {
      this.count[into] += source.count[cell]
      this.truths[into] += source.truths[cell]
    }
  }

  subtract(into: number, source: this, cell: number): void {
    this.count[into] -= source.count[cell]
    this.truths[into] -= source.truths[cell]
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.varint(this.count[cell])
    writer.varint(this.truths[cell])
  }

  decode(cell: number, reader: ByteReader): void {
    this.count[cell] = reader.varint()
    this.truths[cell] = reader.varint()
  }
}
