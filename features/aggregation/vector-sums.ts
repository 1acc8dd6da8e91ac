import { FLOAT32, roundRatio } from '../exact/round-ratio.ts'
import { addScaled, readScaled, scaledOf, writeScaled } from '../exact/scaled-integer.ts'
import type { ScaledInteger } from '../exact/scaled-integer.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'

export interface VectorSum {
  n: number
  readonly sums: readonly ScaledInteger[]
}

/** Number of vectors and exact sum per component. Canonical bytes: varint n, each sum (see scaled-integer.ts). Has an inverse. */
export class VectorSumFold implements Fold<VectorSum> {
  readonly length: number

  constructor(length: number) {
    this.length = length
  }

  create(): VectorSum {
    return { n: 0, sums: Array.from({ length: this.length }, () => ({ mantissa: 0n, exponent: 0 })) }
  }

  isEmpty(state: VectorSum): boolean {
    return state.n === 0
  }

  adder(input: SlotInput): (state: VectorSum, row: number) => void {
    if (input.column === null || input.column.storage !== 'vector') throw new TypeError('vector sums read vectors')
    const { values } = input.column
    const { length } = this
    return (state, row) => {
      state.n++
      for (let i = 0; i < length; i++) {
        const { mantissa, exponent } = scaledOf(values[row * length + i])
        addScaled(state.sums[i], mantissa, exponent)
      }
    }
  }

  merge(into: VectorSum, from: VectorSum): void {
    into.n += from.n
    from.sums.forEach((sum, i) => addScaled(into.sums[i], sum.mantissa, sum.exponent))
  }

  subtract(into: VectorSum, from: VectorSum): void {
    into.n -= from.n
    from.sums.forEach((sum, i) => addScaled(into.sums[i], -sum.mantissa, sum.exponent))
  }

  encode(state: VectorSum, writer: ByteWriter): void {
    writer.varint(state.n)
    for (const sum of state.sums) writeScaled(sum, writer)
  }

  decode(reader: ByteReader): VectorSum {
    const n = reader.varint()
    return { n, sums: Array.from({ length: this.length }, () => readScaled(reader)) }
  }
}

/** Each component's sum, divided by `divisor`, rounded once to float32; null if one lies beyond the float32 range. */
export function roundedVector(state: VectorSum, divisor: number): Float32Array | null {
  const vector = new Float32Array(state.sums.length)
  for (let i = 0; i < vector.length; i++) {
    const { mantissa, exponent } = state.sums[i]
    const numerator = exponent > 0 ? mantissa << BigInt(exponent) : mantissa
    const denominator = BigInt(divisor) << BigInt(exponent > 0 ? 0 : -exponent)
    vector[i] = roundRatio(numerator, denominator, FLOAT32)
    if (!Number.isFinite(vector[i])) return null
  }
  return vector
}
