import {
  add,
  addDouble,
  divide,
  multiply,
  multiplyDouble,
  negate,
  reciprocal,
  squareRoot,
  twoSum,
} from '../double-double.ts'
import type { DoubleDouble } from '../double-double.ts'
import { fixedAngle, fixedPi, toFixed } from '../fixed-elementary.ts'
import { GUARD, exponentOf, nearest, powerOfTwo, settle } from '../nearest.ts'
import type { Approximation } from '../nearest.ts'
import { integerSqrt } from '../round-ratio.ts'
import { scaledOf } from '../scaled-integer.ts'
import { TABLE_BITS, doubleDoubleOf, lazy } from './constants.ts'
import { TINY } from './exponential.ts'
import { bitsFor } from './logarithm.ts'

const CELLS = 64
const ONE: DoubleDouble = { hi: 1, lo: 0 }

const tables = lazy(() => {
  const one = 1n << BigInt(TABLE_BITS)
  return {
    /** atan(j/64), j = 0 … 64. */
    cells: Array.from({ length: CELLS + 1 }, (_, j) =>
      doubleDoubleOf(fixedAngle((one * BigInt(j)) / BigInt(CELLS), one, TABLE_BITS)),
    ),
    pi: doubleDoubleOf(fixedPi(TABLE_BITS)),
    halfPi: doubleDoubleOf(fixedPi(TABLE_BITS) / 2n),
    thirds: [-3, 5, -7].map(reciprocal),
  }
})

/** atan v for v ≥ 0, with a small relative error. */
function atanParts(v: DoubleDouble): DoubleDouble {
  const { cells, halfPi, thirds } = tables()
  if (v.hi > 1) return add(halfPi, negate(atanParts(divide(ONE, v))))
  const j = Math.round(v.hi * CELLS)
  const t = j / CELLS
  const d = j === 0 ? v : divide(addDouble(v, -t), addDouble(multiplyDouble(v, t), 1))
  const z = multiply(d, d)
  const x = z.hi
  let sum = addDouble(thirds[2], x * (1 / 9 - x * (1 / 11 - x * (1 / 13 - x / 15))))
  for (let i = 1; i >= 0; i--) sum = add(thirds[i], multiply(z, sum))
  const small = add(d, multiply(multiply(d, z), sum))
  return j === 0 ? small : add(cells[j], small)
}

export function atan(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  if (size > 1e200) return Math.sign(x) * tables().halfPi.hi
  return Math.sign(x) * settle(atanParts({ hi: size, lo: 0 }), 0, exactAtan, size)
}

function exactAtan(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  return { value: fixedAngle(toFixed(x, work), 1n << BigInt(work), work), exponent: -work }
}

/** √((1 − x)(1 + x)), the cosine of asin x. */
function cofactor(x: number): DoubleDouble {
  return squareRoot(multiply(twoSum(1, -x), twoSum(1, x)))
}

export function asin(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  if (size >= 1) return size === 1 ? Math.sign(x) * tables().halfPi.hi : NaN
  return Math.sign(x) * settle(atanParts(divide({ hi: size, lo: 0 }, cofactor(size))), 0, exactAsin, size)
}

export function acos(x: number): number {
  if (!(Math.abs(x) <= 1)) return NaN
  if (x === 1) return 0
  if (x === -1) return tables().pi.hi
  const half = atanParts(squareRoot(divide(twoSum(1, -x), twoSum(1, x))))
  return settle({ hi: 2 * half.hi, lo: 2 * half.lo }, 0, exactAcos, x)
}

function exactAsin(bits: number, x: number): Approximation {
  const { fixed, root, work } = exactCofactor(bits, x)
  return { value: fixedAngle(fixed, root, work), exponent: -work }
}

function exactAcos(bits: number, x: number): Approximation {
  const { fixed, root, work } = exactCofactor(bits, x)
  const value = fixed >= 0n ? fixedAngle(root, fixed, work) : fixedPi(work) - fixedAngle(root, -fixed, work)
  return { value, exponent: -work }
}

function exactCofactor(bits: number, x: number) {
  const work = x === 0 ? bits + GUARD : bitsFor(bits, Math.abs(x))
  const fixed = toFixed(x, work)
  return { fixed, root: integerSqrt((1n << BigInt(2 * work)) - fixed * fixed), work }
}

/** The angle of (x, y), −π to π; zeros and infinities as ECMAScript has them. */
export function atan2(y: number, x: number): number {
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN
  const left = x < 0 || Object.is(x, -0)
  const sign = y < 0 || Object.is(y, -0) ? -1 : 1
  if (y === 0) return left ? sign * tables().pi.hi : y
  if (!Number.isFinite(x) || !Number.isFinite(y)) return sign * infiniteAngle(y, x)
  if (x === 0) return sign * tables().halfPi.hi
  const height = Math.abs(y)
  const exponents = exponentOf(height) - exponentOf(Math.abs(x))
  if (Math.abs(exponents) > 500) return sign * nearest(exactAtan2, height, x)
  const shift = powerOfTwo(-Math.max(-900, Math.min(900, exponentOf(height))))
  const angle = atanParts(divide({ hi: height * shift, lo: 0 }, { hi: Math.abs(x) * shift, lo: 0 }))
  return sign * settle(left ? add(tables().pi, negate(angle)) : angle, 0, exactAtan2, height, x)
}

function infiniteAngle(y: number, x: number): number {
  const quarter = doubleDoubleOf(fixedPi(TABLE_BITS) / 4n).hi
  if (Number.isFinite(x)) return tables().halfPi.hi
  if (Number.isFinite(y)) return x > 0 ? 0 : tables().pi.hi
  return x > 0 ? quarter : doubleDoubleOf((3n * fixedPi(TABLE_BITS)) / 4n).hi
}

function exactAtan2(bits: number, y: number, x: number): Approximation {
  const work = bits + GUARD
  const [height, width] = [scaledOf(y), scaledOf(Math.abs(x))]
  const exponent = Math.min(height.exponent, width.exponent)
  const angle = fixedAngle(
    height.mantissa << BigInt(height.exponent - exponent),
    width.mantissa << BigInt(width.exponent - exponent),
    work,
  )
  return { value: x < 0 ? fixedPi(work) - angle : angle, exponent: -work }
}
