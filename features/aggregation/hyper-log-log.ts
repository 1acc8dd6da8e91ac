import { ln } from '../exact/elementary.ts'
import { roundRatio } from '../exact/round-ratio.ts'
import type { FieldType } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'
import { hashAdder } from './value-hash.ts'

/*
 * HyperLogLog (Flajolet et al. 2007) of 2^precision registers over the hash of value-hash.ts: the first `precision` bits choose a register, which
 * keeps the greatest rank (position of the first 1 bit in the rest, counted from 1). Relative standard error 1.04 / √(2^precision).
 *
 *   u8 0, varint n, n × (varint register − the one before, u8 rank)   fewer than a quarter of the registers are set
 *   u8 1, the registers, one byte each                                otherwise
 */
export class HyperLogLogFold implements Fold<Uint8Array> {
  readonly precision: number
  readonly type: FieldType

  constructor(precision: number, type: FieldType) {
    this.precision = precision
    this.type = type
  }

  create(): Uint8Array {
    return new Uint8Array(2 ** this.precision)
  }

  isEmpty(registers: Uint8Array): boolean {
    return registers.every((rank) => rank === 0)
  }

  adder(input: SlotInput): (state: Uint8Array, row: number) => void {
    if (input.column === null) throw new TypeError('approxDistinctCount needs a column')
    const { precision } = this
    return hashAdder(this.type, input.column, (registers: Uint8Array, high, low) => {
      const register = high >>> (32 - precision)
      const rest = (high << precision) >>> 0
      const rank = rest !== 0 ? Math.clz32(rest) + 1 : 32 - precision + Math.clz32(low) + 1
      if (rank > registers[register]) registers[register] = rank
    })
  }

  merge(into: Uint8Array, from: Uint8Array): void {
    for (let i = 0; i < into.length; i++) if (from[i] > into[i]) into[i] = from[i]
  }

  encode(registers: Uint8Array, writer: ByteWriter): void {
    let set = 0
    for (const rank of registers) if (rank !== 0) set++
    if (set * 4 >= registers.length) {
      writer.u8(1)
      return writer.raw(registers)
    }
    writer.u8(0)
    writer.varint(set)
    let before = 0
    for (let i = 0; i < registers.length; i++) {
      if (registers[i] === 0) continue
      writer.varint(i - before)
      writer.u8(registers[i])
      before = i
    }
  }

  decode(reader: ByteReader): Uint8Array {
    const registers = this.create()
    if (reader.u8() === 1) {
      registers.set(reader.raw(registers.length))
      return registers
    }
    let at = 0
    for (let left = reader.varint(); left > 0; left--) {
      at += reader.varint()
      if (at >= registers.length) throw new RangeError('a register beyond the sketch')
      registers[at] = reader.u8()
    }
    return registers
  }

  /** A whole number. Linear counting below 2.5 registers' worth, as in the paper; Σ 2^−rank is exact. */
  estimate(registers: Uint8Array): number {
    const m = registers.length
    let harmonic = 0n
    let zeros = 0
    for (const rank of registers) {
      harmonic += 1n << BigInt(64 - rank)
      if (rank === 0) zeros++
    }
    const alpha = m === 16 ? 0.673 : m === 32 ? 0.697 : m === 64 ? 0.709 : 0.7213 / (1 + 1.079 / m)
    const raw = alpha * roundRatio((BigInt(m) * BigInt(m)) << 64n, harmonic)
    return Math.round(raw <= 2.5 * m && zeros > 0 ? m * ln(m / zeros) : raw)
  }
}
