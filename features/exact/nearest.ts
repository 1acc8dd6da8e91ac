import { invariant } from '../errors/tidemark-error.ts'
import type { DoubleDouble } from './double-double.ts'
import { roundRatio } from './round-ratio.ts'

/** A value with `bits` certain bits or more: value · 2^exponent, within 2^40 units of `value`. */
export interface Approximation {
  readonly value: bigint
  readonly exponent: number
}
export type Evaluate = (bits: number, x: number, y: number) => Approximation

/** Guard bits of an evaluation: it works with `bits + GUARD`. */
export const GUARD = 64
const UNCERTAINTY = 1n << 40n
const BITS_MAX = 16_384

/**
 * The double nearest to a value that lies on no boundary between two doubles: evaluated with more and more bits until both ends of the uncertainty
 * round alike (Ziv 1991).
 */
export function nearest(evaluate: Evaluate, x: number, y: number = 0): number {
  for (let bits = 128; bits <= BITS_MAX; bits *= 2) {
    const { value, exponent } = evaluate(bits, x, y)
    const low = roundScaled(value - UNCERTAINTY, exponent)
    if (low === roundScaled(value + UNCERTAINTY, exponent)) return low
  }
  invariant(false, `a function value at ${x}, ${y} lies on a boundary`)
  return NaN
}

export function roundScaled(value: bigint, exponent: number): number {
  return exponent >= 0 ? roundRatio(value << BigInt(exponent), 1n) : roundRatio(value, 1n << BigInt(-exponent))
}

/** Twice the relative error that a double-double evaluation may have, by far. */
const RELATIVE_ERROR = 8.271806125530277e-25
/** 2^−1000: everything at or above it is far from subnormal. */
const SMALL = 9.332636185032189e-302

/**
 * (hi + lo) · 2^scale rounded to nearest where an error of 2^−80 cannot change that, else the exact evaluation's answer. `scale` moves between binades
 * only: the result is normal, or left to the exact evaluation.
 */
export function settle(value: DoubleDouble, scale: number, exact: Evaluate, x: number, y: number = 0): number {
  const rounded = decided(value)
  if (rounded === null) return nearest(exact, x, y)
  if (scale === 0) return rounded
  const half = Math.trunc(scale / 2)
  const scaled = rounded * powerOfTwo(half) * powerOfTwo(scale - half)
  return Math.abs(scaled) < SMALL ? nearest(exact, x, y) : scaled
}

/** hi + lo rounded to nearest, or null where an error of `slack` · 2^−80 could change that. */
export function decided({ hi, lo }: DoubleDouble, slack: number = 1): number | null {
  const error = Math.abs(hi) * RELATIVE_ERROR * slack
  const rounded = hi + (lo - error)
  return rounded === hi + (lo + error) && Number.isFinite(rounded) ? rounded : null
}

const view = new DataView(new ArrayBuffer(8))

/** 2^n for −1022 ≤ n ≤ 1023, without the engine's power function. */
export function powerOfTwo(n: number): number {
  view.setUint32(0, (n + 1023) << 20)
  view.setUint32(4, 0)
  return view.getFloat64(0)
}

/** The exponent of a positive double: 2^n ≤ x < 2^(n + 1). */
export function exponentOf(x: number): number {
  view.setFloat64(0, x)
  const biased = (view.getUint32(0) >>> 20) & 0x7ff
  return biased === 0 ? exponentOf(x * 18014398509481984) - 54 : biased - 1023
}
