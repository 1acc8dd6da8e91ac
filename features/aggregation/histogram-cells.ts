import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/** Counts by bin: below edges[0], [edges[i], edges[i + 1]) …, from the last edge up: edges + 1 bins. Canonical bytes: varint each. */
export class HistogramCells implements Cells {
  readonly edges: Float64Array
  readonly bins: number
  counts = new Float64Array(0)

  constructor(edges: readonly number[]) {
    this.edges = Float64Array.from(edges)
    this.bins = edges.length + 1
  }

  grow(count: number): void {
    this.counts = growFloats(this.counts, count * this.bins)
  }

  clear(from: number, to: number): void {
    this.counts.fill(0, from * this.bins, to * this.bins)
  }

  isEmpty(cell: number): boolean {
    return this.binsOf(cell).every((count) => count === 0)
  }

  /** A view. */
  binsOf(cell: number): Float64Array {
    return this.counts.subarray(cell * this.bins, (cell + 1) * this.bins)
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const { column } = input
    if (column === null || (column.storage !== 'number' && column.storage !== 'int64'))
      throw new TypeError('histograms read numbers')
    const { values } = column
    const { counts, bins } = this
    for (let i = from; i < to; i++) if (cellOf[i] >= 0) counts[cellOf[i] * bins + this.#binOf(values[i])]++
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    const target = into * this.bins
    for (let at = from * this.bins; at < to * this.bins; at++)
      this.counts[target + (at % this.bins)] += source.counts[at]
  }

  subtract(into: number, source: this, cell: number): void {
    for (let bin = 0; bin < this.bins; bin++)
      this.counts[into * this.bins + bin] -= source.counts[cell * this.bins + bin]
  }

  encode(cell: number, writer: ByteWriter): void {
    for (const count of this.binsOf(cell)) writer.varint(count)
  }

  decode(cell: number, reader: ByteReader): void {
    const counts = this.binsOf(cell)
    for (let bin = 0; bin < this.bins; bin++) counts[bin] = reader.varint()
  }

  /** Number of edges at or below the value. An int64 compares with the edges exactly. */
  #binOf(value: number | bigint): number {
    let low = 0
    let high = this.edges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.edges[middle] <= value) low = middle + 1
      else high = middle
    }
    return low
  }
}
