import { roundRatio, roundSqrtRatio } from '../exact/round-ratio.ts'
import { addScaled, integerAt, readScaled, scaledOf, writeScaled } from '../exact/scaled-integer.ts'
import type { ScaledInteger } from '../exact/scaled-integer.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'

export interface PowerSums {
  n: number
  /** Σx, Σx², … exactly. */
  readonly sums: readonly ScaledInteger[]
}

/** Exact power sums up to `degree`. Canonical bytes: varint n, each sum (see scaled-integer.ts). Has an inverse. */
export class PowerSumFold implements Fold<PowerSums> {
  readonly degree: number

  constructor(degree: 2 | 4) {
    this.degree = degree
  }

  create(): PowerSums {
    return { n: 0, sums: Array.from({ length: this.degree }, () => ({ mantissa: 0n, exponent: 0 })) }
  }

  isEmpty(state: PowerSums): boolean {
    return state.n === 0
  }

  adder(input: SlotInput): (state: PowerSums, row: number) => void {
    const { column } = input
    if (column === null || (column.storage !== 'number' && column.storage !== 'int64'))
      throw new TypeError('moments read numbers')
    if (column.storage === 'int64') {
      const { values } = column
      return (state, row) => addPowers(state, values[row], 0)
    }
    const { values } = column
    return (state, row) => {
      const { mantissa, exponent } = scaledOf(values[row])
      addPowers(state, mantissa, exponent)
    }
  }

  merge(into: PowerSums, from: PowerSums): void {
    into.n += from.n
    from.sums.forEach((sum, i) => addScaled(into.sums[i], sum.mantissa, sum.exponent))
  }

  subtract(into: PowerSums, from: PowerSums): void {
    into.n -= from.n
    from.sums.forEach((sum, i) => addScaled(into.sums[i], -sum.mantissa, sum.exponent))
  }

  encode(state: PowerSums, writer: ByteWriter): void {
    writer.varint(state.n)
    for (const sum of state.sums) writeScaled(sum, writer)
  }

  decode(reader: ByteReader): PowerSums {
    const n = reader.varint()
    return { n, sums: Array.from({ length: this.degree }, () => readScaled(reader)) }
  }
}

function addPowers(state: PowerSums, mantissa: bigint, exponent: number): void {
  state.n++
  let power = 1n
  for (let i = 0; i < state.sums.length; i++) {
    power *= mantissa
    addScaled(state.sums[i], power, exponent * (i + 1))
  }
}

/** The sums as integers S₁, S₂, … in units of u, u², …, where u = 2^unit. */
function integers(state: PowerSums): { unit: number; n: bigint; s: bigint[] } {
  let unit = 0
  state.sums.forEach((sum, i) => {
    if (sum.mantissa !== 0n) unit = Math.min(unit, Math.floor(sum.exponent / (i + 1)))
  })
  return { unit, n: BigInt(state.n), s: state.sums.map((sum, i) => integerAt(sum, unit * (i + 1))) }
}

/** Σ(x − mean)² · n in units of u². */
function spread(n: bigint, s: readonly bigint[]): bigint {
  return n * s[1] - s[0] * s[0]
}

/** Rounded once. NaN where it is undefined: the sample variance of one value. */
export function variance(state: PowerSums, sample: boolean): number {
  const { unit, n, s } = integers(state)
  const divisor = n * (sample ? n - 1n : n)
  return divisor === 0n ? NaN : roundRatio(spread(n, s), divisor << BigInt(-2 * unit))
}

export function standardDeviation(state: PowerSums, sample: boolean): number {
  const { unit, n, s } = integers(state)
  const divisor = n * (sample ? n - 1n : n)
  return divisor === 0n ? NaN : roundSqrtRatio(spread(n, s), divisor << BigInt(-2 * unit))
}

/** Population skewness m₃ / m₂^1.5, rounded once. NaN where all values are equal. */
export function skewness(state: PowerSums): number {
  const { n, s } = integers(state)
  const a = spread(n, s)
  if (a === 0n) return NaN
  const b = n * n * s[2] - 3n * n * s[0] * s[1] + 2n * s[0] * s[0] * s[0]
  const root = roundSqrtRatio(b * b, a * a * a)
  return b < 0n ? -root : root
}

/** Population excess kurtosis m₄ / m₂² − 3, rounded once. NaN where all values are equal. */
export function kurtosis(state: PowerSums): number {
  const { n, s } = integers(state)
  const a = spread(n, s)
  if (a === 0n) return NaN
  const square = s[0] * s[0]
  const c = n * n * n * s[3] - 4n * n * n * s[0] * s[2] + 6n * n * square * s[1] - 3n * square * square
  return roundRatio(c - 3n * a * a, a * a)
}
