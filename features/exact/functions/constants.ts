import type { DoubleDouble } from '../double-double.ts'
import { toFixed } from '../fixed-elementary.ts'
import { roundRatio } from '../round-ratio.ts'

/** Bits of the tables and constants before they are rounded to double-doubles. */
export const TABLE_BITS = 200

/** A fixed-point number of `bits` bits as the nearest double and the rest. */
export function doubleDoubleOf(value: bigint, bits: number = TABLE_BITS): DoubleDouble {
  const one = 1n << BigInt(bits)
  const hi = roundRatio(value, one)
  return { hi, lo: roundRatio(value - toFixed(hi, bits), one) }
}

/** Computed when first needed: a process that never calls a function pays nothing for its tables. */
export function lazy<T>(make: () => T): () => T {
  let made: T | undefined
  return () => (made ??= make())
}

/** A fixed-point constant as `parts` doubles of 33 bits or fewer each, and the rest: products with integers below 2^20 are exact but for the last. */
export function splitConstant(value: bigint, parts: number): readonly number[] {
  const split: number[] = []
  let rest = value
  const unit = 1n << BigInt(TABLE_BITS)
  for (let i = 0; i < parts; i++) {
    const digits = BigInt(rest.toString(2).replace('-', '').length)
    const drop = digits - 33n
    const part = (rest >> drop) << drop
    split.push(roundRatio(part, unit))
    rest -= part
  }
  split.push(roundRatio(rest, unit))
  return split
}
