import { fromFixedPoint, toFixedPoint } from '../exact/fixed-point.ts'
import { readScaled, writeScaled } from '../exact/scaled-integer.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { growFloats } from './grow.ts'

/*
 * State: n (non-null inputs) and Σ, exact. Canonical bytes:
 *
 *   varint n, then if n > 0:
 *     u8 0, f64 Σ                where Σ is a double
 *     u8 1, f64 high, f64 low    where high = round(Σ) and Σ − high are doubles
 *     u8 2, Σ                    otherwise, see scaled-integer.ts
 *
 * In memory Σ = high + low with high = round(Σ), as long as that is exact; else `low` is NaN and Σ is a BigInt in units of 2^−1074 in `wide`.
 *
 * Knuth's TwoSum gives s = round(a + b) and e = a + b − s, exactly, if nothing overflows (Boldo, Graillat, Muller 2017: then s or e is not finite, and NaN
 * reaches every residue below). So the high part of a pair is the sum rounded once, to nearest, ties to even: reading it rounds nothing again.
 */
export class SumCells implements Cells {
  count = new Float64Array(0)
  high = new Float64Array(0)
  /** NaN: see `wide`. */
  low = new Float64Array(0)
  readonly wide = new Map<number, bigint>()

  grow(count: number): void {
    this.count = growFloats(this.count, count)
    this.high = growFloats(this.high, count)
    this.low = growFloats(this.low, count)
  }

  clear(from: number, to: number): void {
    this.count.fill(0, from, to)
    this.high.fill(0, from, to)
    this.low.fill(0, from, to)
    if (this.wide.size > 0) for (let cell = from; cell < to; cell++) this.wide.delete(cell)
  }

  isEmpty(cell: number): boolean {
    return this.count[cell] === 0
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const column = input.column
    if (column === null || (column.storage !== 'number' && column.storage !== 'int64'))
      throw new TypeError('sum reads numbers')
    if (column.storage === 'int64') this.#addIntegers(cellOf, column.values, from, to)
    else this.#addDoubles(cellOf, column.values, from, to)
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    const { count, high, low } = source
    let n = this.count[into]
    let a = this.high[into]
    let c = this.low[into]
    for (let cell = from; cell < to; cell++) {
      n += count[cell]
      const b = high[cell]
      const d = low[cell]
      // The sum of both pairs is s + e + t + f.
      const s = a + b
      const sb = s - a
      const e = a - (s - sb) + (b - sb)
      const t = c + d
      const tb = t - c
      const f = c - (t - tb) + (d - tb)
      // e + t = u + g; without residue s + u is the whole sum.
      const u = e + t
      const ub = u - e
      const g = e - (u - ub) + (t - ub)
      if (f === 0 && g === 0) {
        const h = s + u
        const hb = h - s
        const l = s - (h - hb) + (u - hb)
        // Not a number only where h overflows.
        if (l === l) {
          a = h
          c = l
          continue
        }
      }
      this.high[into] = a
      this.low[into] = c
      this.#addPair(into, b, d, source.wide.get(cell))
      a = this.high[into]
      c = this.low[into]
    }
    this.count[into] = n
    this.high[into] = a
    this.low[into] = c
  }

  subtract(into: number, source: this, cell: number): void {
    const n = source.count[cell]
    if (n === 0) return
    this.count[into] -= n
    if (this.count[into] === 0) return this.clear(into, into + 1)
    const wide = source.wide.size === 0 ? undefined : source.wide.get(cell)
    this.#addPair(into, -source.high[cell], -source.low[cell], wide === undefined ? undefined : -wide)
  }

  /** Σ rounded once; ±Infinity beyond the doubles. */
  rounded(cell: number): number {
    return Number.isNaN(this.low[cell]) ? fromFixedPoint(this.exact(cell)) : this.high[cell] + 0
  }

  /** Σ · 2^1074, exactly. */
  exact(cell: number): bigint {
    return this.wide.get(cell) ?? toFixedPoint(this.high[cell]) + toFixedPoint(this.low[cell])
  }

  /** Σ of integers, exactly. */
  integer(cell: number): bigint {
    const low = this.low[cell]
    if (low === 0) return BigInt(this.high[cell])
    return Number.isNaN(low) ? this.exact(cell) >> 1074n : BigInt(this.high[cell]) + BigInt(low)
  }

  encode(cell: number, writer: ByteWriter): void {
    writer.varint(this.count[cell])
    if (this.count[cell] === 0) return
    if (Number.isNaN(this.low[cell])) this.#narrow(cell)
    const low = this.low[cell]
    if (Number.isNaN(low)) {
      writer.u8(2)
      writeScaled({ mantissa: this.exact(cell), exponent: -1074 }, writer)
      return
    }
    writer.u8(low === 0 ? 0 : 1)
    writer.f64(this.high[cell] + 0)
    if (low !== 0) writer.f64(low)
  }

  encodeMany(cells: Int32Array, count: number, writer: ByteWriter): void {
    for (let i = 0; i < count; i++) this.encode(cells[i], writer)
  }

  decode(cell: number, reader: ByteReader): void {
    this.clear(cell, cell + 1)
    this.count[cell] = reader.varint()
    if (this.count[cell] === 0) return
    const kind = reader.u8()
    if (kind > 2) throw new RangeError(`sum of kind ${kind}`)
    if (kind < 2) {
      this.high[cell] = reader.f64()
      if (kind === 1) this.low[cell] = reader.f64()
      return
    }
    const { mantissa, exponent } = readScaled(reader)
    this.#setWide(cell, mantissa << BigInt(exponent + 1074))
  }

  #addDoubles(cellOf: Int32Array, values: Float64Array, from: number, to: number): void {
    const { count, high, low } = this
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0) continue
      count[cell]++
      const a = high[cell]
      const b = values[i]
      const c = low[cell]
      const s = a + b
      const sb = s - a
      const e = a - (s - sb) + (b - sb)
      if (e === 0 && c === 0) {
        high[cell] = s
        continue
      }
      const u = e + c
      const ub = u - e
      if (e - (u - ub) + (c - ub) !== 0 || u !== u) {
        this.#addPair(cell, b, 0, undefined)
        continue
      }
      const h = s + u
      const hb = h - s
      const l = s - (h - hb) + (u - hb)
      if (l === l) {
        high[cell] = h
        low[cell] = l
      } else this.#addPair(cell, b, 0, undefined)
    }
  }

  /** Each value as 2^32 · its signed upper half + its lower half, both doubles, so that no BigInt is made. */
  #addIntegers(cellOf: Int32Array, values: BigInt64Array, from: number, to: number): void {
    const halves = new Int32Array(values.buffer, values.byteOffset, 2 * values.length)
    for (let i = from; i < to; i++) {
      const cell = cellOf[i]
      if (cell < 0) continue
      this.count[cell]++
      const upper = halves[2 * i + 1] * 4294967296
      const lower = halves[2 * i] >>> 0
      const b = upper + lower
      const c = this.low[cell]
      const s = this.high[cell] + b
      // Whole numbers whose sum stays below 2^53 have no residue.
      if (c === 0 && s < 9007199254740992 && s > -9007199254740992 && b < 9007199254740992 && b > -9007199254740992)
        this.high[cell] = s
      else this.#addPair(cell, b, lower - (b - upper), undefined)
    }
  }

  /** Adds high + low, or `wide` where that is given. */
  #addPair(cell: number, high: number, low: number, wide: bigint | undefined): void {
    if (wide !== undefined || Number.isNaN(this.low[cell])) return this.#addWide(cell, high, low, wide)
    const terms = [this.high[cell], this.low[cell], high, low]
    // Each pass makes the last two sums of what is before them and moves residues back (Rump, Ogita, Oishi: VecSum).
    for (let pass = 0; pass < 4; pass++) {
      for (let i = terms.length - 1; i > 0; i--) {
        const a = terms[i - 1]
        const b = terms[i]
        const s = a + b
        const sb = s - a
        terms[i - 1] = s
        terms[i] = a - (s - sb) + (b - sb)
      }
    }
    const [first, second, third, fourth] = terms
    if (third !== 0 || fourth !== 0 || first + second !== first) return this.#addWide(cell, high, low, undefined)
    this.high[cell] = first
    this.low[cell] = second
  }

  #addWide(cell: number, high: number, low: number, wide: bigint | undefined): void {
    const value = wide ?? toFixedPoint(high) + toFixedPoint(low)
    this.#setWide(cell, this.exact(cell) + value)
  }

  #setWide(cell: number, value: bigint): void {
    this.wide.set(cell, value)
    this.high[cell] = 0
    this.low[cell] = NaN
  }

  /** Back to two doubles where they hold the sum: which form a cell has in memory depends on the order of its events, its bytes must not. */
  #narrow(cell: number): void {
    const total = this.exact(cell)
    const high = fromFixedPoint(total)
    if (!Number.isFinite(high)) return
    const rest = total - toFixedPoint(high)
    const low = fromFixedPoint(rest)
    if (toFixedPoint(low) !== rest) return
    this.wide.delete(cell)
    this.high[cell] = high
    this.low[cell] = low
  }
}
