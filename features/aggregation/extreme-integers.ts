import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'

/** Least (sign 1) or greatest (sign −1) int64. Canonical bytes: u8 0 (identity) | u8 1, 8 bytes little-endian two's complement. */
export class ExtremeIntegerCells implements Cells {
  readonly sign: 1 | -1
  best = new BigInt64Array(0)
  seen = new Uint8Array(0)

  constructor(sign: 1 | -1) {
    this.sign = sign
  }

  grow(count: number): void {
    if (count <= this.best.length) return
    const best = new BigInt64Array(count)
    const seen = new Uint8Array(count)
    best.set(this.best)
    seen.set(this.seen)
    this.best = best
    this.seen = seen
  }

  clear(from: number, to: number): void {
    this.best.fill(0n, from, to)
    this.seen.fill(0, from, to)
  }

  isEmpty(cell: number): boolean {
    return this.seen[cell] === 0
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    if (input.column === null || input.column.storage !== 'int64')
      throw new TypeError('min and max of int64 read int64')
    const { values } = input.column
    for (let i = from; i < to; i++) if (cellOf[i] >= 0) this.#add(cellOf[i], values[i])
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    for (let cell = from; cell < to; cell++) if (source.seen[cell] === 1) this.#add(into, source.best[cell])
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.u8(this.seen[cell])
    if (this.seen[cell] === 1) writer.i64(this.best[cell])
  }

  decode(cell: number, reader: ByteReader): void {
    this.seen[cell] = reader.u8() === 0 ? 0 : 1
    this.best[cell] = this.seen[cell] === 1 ? reader.i64() : 0n
  }

  #add(cell: number, value: bigint): void {
    const held = this.best[cell]
    if (this.seen[cell] === 0 || (this.sign === 1 ? value < held : value > held)) this.best[cell] = value
    this.seen[cell] = 1
  }
}
