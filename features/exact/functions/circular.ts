import { add, addDouble, divide, multiply, negate, reciprocal, twoSum } from '../double-double.ts'
import type { DoubleDouble } from '../double-double.ts'
import { fixedPi, fixedSinCos, floorDivide, toFixed } from '../fixed-elementary.ts'
import { GUARD, exponentOf, nearest, settle } from '../nearest.ts'
import type { Approximation } from '../nearest.ts'
import { TABLE_BITS, doubleDoubleOf, lazy, splitConstant } from './constants.ts'
import { TINY } from './exponential.ts'

const CELLS = 32
/** Beyond it, and closer to a multiple of π/2 than 2^−30, the exact evaluation reduces the argument. */
const LARGE = 1_000_000
const CLOSE = 1e-9

const tables = lazy(() => {
  const pi = fixedPi(TABLE_BITS)
  return {
    /** sin and cos of j/32, j = 0 … 26. */
    cells: Array.from({ length: 27 }, (_, j) => {
      const { sin, cos } = fixedSinCos((BigInt(j) << BigInt(TABLE_BITS)) / BigInt(CELLS), TABLE_BITS)
      return { sin: doubleDoubleOf(sin), cos: doubleDoubleOf(cos) }
    }),
    quarter: splitConstant(pi / 2n, 3),
    quarterInverse: 1 / doubleDoubleOf(pi / 2n).hi,
    sines: [-6, 120, -5040].map(reciprocal),
    cosines: [-2, 24, -720].map(reciprocal),
  }
})

interface SinCos {
  readonly sin: DoubleDouble
  readonly cos: DoubleDouble
}

/** x − quadrant · π/2, or null where that needs more bits than a double-double has. */
function reduce(x: number): { readonly r: DoubleDouble; readonly quadrant: number } | null {
  if (Math.abs(x) > LARGE) return null
  const { quarter, quarterInverse } = tables()
  const n = Math.round(x * quarterInverse)
  if (n === 0) return { r: { hi: x, lo: 0 }, quadrant: 0 }
  let r = twoSum(x, -n * quarter[0])
  r = add(r, twoSum(-n * quarter[1], -n * quarter[2]))
  r = addDouble(r, -n * quarter[3])
  return Math.abs(r.hi) < CLOSE ? null : { r, quadrant: ((n % 4) + 4) % 4 }
}

/** sin r and cos r for |r| ≤ π/4 and a little: r = ± j/32 + b, |b| ≤ 1/64, by the addition theorem. */
function sinCosReduced(r: DoubleDouble): SinCos {
  const sign = r.hi < 0 ? -1 : 1
  const size = sign < 0 ? negate(r) : r
  const j = Math.round(size.hi * CELLS)
  const b = sinCosSeries(addDouble(size, -j / CELLS))
  if (j === 0) return { sin: sign < 0 ? negate(b.sin) : b.sin, cos: addDouble(b.cosMinus1, 1) }
  const { sin, cos } = tables().cells[j]
  const s = add(sin, add(multiply(cos, b.sin), multiply(sin, b.cosMinus1)))
  const c = add(cos, add(multiply(cos, b.cosMinus1), negate(multiply(sin, b.sin))))
  return { sin: sign < 0 ? negate(s) : s, cos: c }
}

/** Taylor to b^13 and b^14, the smaller half of the terms in doubles. */
function sinCosSeries(b: DoubleDouble): { readonly sin: DoubleDouble; readonly cosMinus1: DoubleDouble } {
  const { sines, cosines } = tables()
  const z = multiply(b, b)
  const x = z.hi
  let s = addDouble(sines[2], x * (1 / 362880 - x * (1 / 39916800 - x / 6227020800)))
  let c = addDouble(cosines[2], x * (1 / 40320 - x * (1 / 3628800 - x * (1 / 479001600 - x / 87178291200))))
  for (let i = 1; i >= 0; i--) {
    s = add(sines[i], multiply(z, s))
    c = add(cosines[i], multiply(z, c))
  }
  return { sin: add(b, multiply(multiply(b, z), s)), cosMinus1: multiply(z, c) }
}

export function sin(x: number): number {
  if (!Number.isFinite(x)) return NaN
  if (Math.abs(x) < TINY) return x
  const reduced = reduce(x)
  if (reduced === null) return nearest(exactSin, x)
  const parts = sinCosReduced(reduced.r)
  const value = reduced.quadrant % 2 === 0 ? parts.sin : parts.cos
  return settle(reduced.quadrant >= 2 ? negate(value) : value, 0, exactSin, x)
}

export function cos(x: number): number {
  if (!Number.isFinite(x)) return NaN
  if (Math.abs(x) < TINY) return 1
  const reduced = reduce(x)
  if (reduced === null) return nearest(exactCos, x)
  const parts = sinCosReduced(reduced.r)
  const { quadrant } = reduced
  const value = quadrant % 2 === 0 ? parts.cos : parts.sin
  return settle(quadrant === 1 || quadrant === 2 ? negate(value) : value, 0, exactCos, x)
}

export function tan(x: number): number {
  if (!Number.isFinite(x)) return NaN
  if (Math.abs(x) < TINY) return x
  const reduced = reduce(x)
  if (reduced === null) return nearest(exactTan, x)
  const { sin, cos } = sinCosReduced(reduced.r)
  const value = reduced.quadrant % 2 === 0 ? divide(sin, cos) : negate(divide(cos, sin))
  return settle(value, 0, exactTan, x)
}

/** No double lies closer to a multiple of π/2 than 2^−62 of 1: quotients lose at most twice that. */
const QUOTIENT_GUARD = 160

function exactSinCos(bits: number, x: number) {
  const exponent = exponentOf(Math.abs(x))
  const work = bits + GUARD + 53 + 2 * Math.abs(exponent)
  const half = fixedPi(work) >> 1n
  const fixed = toFixed(x, work)
  const n = floorDivide(2n * fixed + half, 2n * half)
  const { sin, cos } = fixedSinCos(fixed - n * half, work)
  // The error of π/2 counts n < 2^(exponent + 1) times: as many bits are let go.
  const drop = BigInt(Math.max(0, exponent + 1))
  const quadrant = Number(((n % 4n) + 4n) % 4n)
  const [s, c] = quadrant % 2 === 0 ? [sin, cos] : [cos, sin]
  return { sin: s >> drop, cos: c >> drop, quadrant, work: work - Number(drop) }
}

function exactSin(bits: number, x: number): Approximation {
  const { sin, quadrant, work } = exactSinCos(bits, x)
  return { value: quadrant >= 2 ? -sin : sin, exponent: -work }
}

function exactCos(bits: number, x: number): Approximation {
  const { cos, quadrant, work } = exactSinCos(bits, x)
  return { value: quadrant === 1 || quadrant === 2 ? -cos : cos, exponent: -work }
}

function exactTan(bits: number, x: number): Approximation {
  const { sin, cos, quadrant, work } = exactSinCos(bits + QUOTIENT_GUARD, x)
  // In odd quadrants sine and cosine have changed places: the quotient is −cos r / sin r.
  const value = (sin << BigInt(work)) / cos
  return { value: (quadrant % 2 === 0 ? value : -value) >> BigInt(QUOTIENT_GUARD), exponent: QUOTIENT_GUARD - work }
}
