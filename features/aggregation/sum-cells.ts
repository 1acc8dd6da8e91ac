import { fromFixedPoint, toFixedPoint } from '../exact/fixed-point.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/*
 * State: n (non-null inputs) and Σ, exact. Canonical bytes:
 *
 *   varint n, then if n > 0:
 *     u8 0, f64 Σ                      where Σ is a double
 *     u8 1, u8 sign, blob magnitude    otherwise: Σ · 2^1074 as big-endian integer
 *
 * In memory Σ is a double as long as every addition so far was exact (Knuth's TwoSum: no error term), else a BigInt in units of 2^−1074.
 */
export class SumCells implements Cells {
  count = new Float64Array(0)
  /** Valid where `wide` has no entry. */
  total = new Float64Array(0)
  readonly wide = new Map<number, bigint>()

  grow(count: number): void {
    this.count = growFloats(this.count, count)
    this.total = growFloats(this.total, count)
  }

  clear(from: number, to: number): void {
    this.count.fill(0, from, to)
    this.total.fill(0, from, to)
    if (this.wide.size > 0) for (let cell = from; cell < to; cell++) this.wide.delete(cell)
  }

  isEmpty(cell: number): boolean {
    return this.count[cell] === 0
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const column = input.column
    if (column === null || (column.storage !== 'number' && column.storage !== 'int64'))
      throw new TypeError('sum reads numbers')
    const { count, total } = this
    if (column.storage === 'int64') {
      for (let i = from; i < to; i++) if (cellOf[i] >= 0) this.#addInteger(cellOf[i], column.values[i])
      return
    }
    const values = column.values
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0) continue
      count[cell]++
      const a = total[cell]
      const b = values[i]
      const sum = a + b
      const part = sum - a
      if (a - (sum - part) + (b - part) === 0 && !this.#isWide(cell)) total[cell] = sum
      else this.#widen(cell, toFixedPoint(b))
    }
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    for (let cell = from; cell < to; cell++) {
      const n = source.count[cell]
      if (n === 0) continue
      this.count[into] += n
      const wide = source.#isWide(cell) ? source.wide.get(cell) : undefined
      if (wide === undefined) this.#add(into, source.total[cell])
      else this.#widen(into, wide)
    }
  }

  subtract(into: number, source: this, cell: number): void {
    const n = source.count[cell]
    if (n === 0) return
    this.count[into] -= n
    const wide = source.#isWide(cell) ? source.wide.get(cell) : undefined
    if (wide === undefined) this.#add(into, -source.total[cell])
    else this.#widen(into, -wide)
  }

  /** Σ rounded once; ±Infinity beyond the doubles. */
  rounded(cell: number): number {
    const wide = this.#isWide(cell) ? this.wide.get(cell) : undefined
    return wide === undefined ? this.total[cell] + 0 : fromFixedPoint(wide)
  }

  /** Σ · 2^1074, exactly. */
  exact(cell: number): bigint {
    return this.wide.get(cell) ?? toFixedPoint(this.total[cell])
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.varint(this.count[cell])
    if (this.count[cell] === 0) return
    const wide = this.wide.get(cell)
    const double = wide === undefined ? this.total[cell] : fromFixedPoint(wide)
    if (wide === undefined || (Number.isFinite(double) && toFixedPoint(double) === wide)) {
      writer.u8(0)
      writer.f64(double + 0)
      return
    }
    writer.u8(1)
    writer.u8(wide < 0n ? 1 : 0)
    writer.blob(bigEndian(wide < 0n ? -wide : wide))
  }

  decode(cell: number, reader: ByteReader): void {
    this.wide.delete(cell)
    this.total[cell] = 0
    this.count[cell] = reader.varint()
    if (this.count[cell] === 0) return
    if (reader.u8() === 0) {
      this.total[cell] = reader.f64()
      return
    }
    const negative = reader.u8() === 1
    const magnitude = fromBigEndian(reader.blob())
    this.wide.set(cell, negative ? -magnitude : magnitude)
  }

  #isWide(cell: number): boolean {
    return this.wide.size > 0 && this.wide.has(cell)
  }

  #add(cell: number, value: number): void {
    const a = this.total[cell]
    const sum = a + value
    const part = sum - a
    if (a - (sum - part) + (value - part) === 0 && !this.#isWide(cell)) this.total[cell] = sum
    else this.#widen(cell, toFixedPoint(value))
  }

  #addInteger(cell: number, value: bigint): void {
    this.count[cell]++
    this.#widen(cell, value << 1074n)
  }

  #widen(cell: number, value: bigint): void {
    this.wide.set(cell, (this.wide.get(cell) ?? toFixedPoint(this.total[cell])) + value)
    this.total[cell] = 0
  }
}

function bigEndian(magnitude: bigint): Uint8Array {
  const hex = magnitude.toString(16)
  const padded = hex.length % 2 === 0 ? hex : `0${hex}`
  const bytes = new Uint8Array(padded.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(padded.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

function fromBigEndian(bytes: Uint8Array): bigint {
  let hex = '0x0'
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0')
  return BigInt(hex)
}
