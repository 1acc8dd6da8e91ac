import { add, addDouble, divide, multiplyDouble, negate, squareRoot, twoProduct } from '../double-double.ts'
import type { DoubleDouble } from '../double-double.ts'
import { fixedExp, fixedLn, toFixed } from '../fixed-elementary.ts'
import { decided, exponentOf, nearest, powerOfTwo, roundScaled, settle } from '../nearest.ts'
import type { Approximation } from '../nearest.ts'
import { bitLength, roundSqrtRatio } from '../round-ratio.ts'
import { addScaled, scaledOf } from '../scaled-integer.ts'
import type { ScaledInteger } from '../scaled-integer.ts'
import { TINY, expParts } from './exponential.ts'
import { bitsFor, lnParts } from './logarithm.ts'

/** x^y, with ECMAScript's special cases: x^0 is 1 for every x, (±1)^±∞ is NaN. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN
  if (y === 1) return x
  if (y === 2) return x * x
  if (y === -1) return 1 / x
  const size = Math.abs(x)
  const odd = Number.isInteger(y) && Math.abs(y) <= Number.MAX_SAFE_INTEGER && y % 2 !== 0
  const sign = odd && (x < 0 || Object.is(x, -0)) ? -1 : 1
  if (!Number.isFinite(y)) return size === 1 ? NaN : size > 1 === y > 0 ? Infinity : 0
  if (size === 0 || size === Infinity) return sign * ((size === 0) === y > 0 ? 0 : Infinity)
  if (x < 0 && !Number.isInteger(y)) return NaN
  if (size === 1) return sign
  return sign * powPositive(size, y)
}

/** x > 0, not 1; y finite, not 0. */
function powPositive(x: number, y: number): number {
  if (y === 0.5) return Math.sqrt(x)
  const ln = lnParts({ hi: x, lo: 0 })
  const rough = Math.abs(ln.hi * y)
  if (rough >= 746) return ln.hi > 0 === y > 0 ? Infinity : 0
  if (rough < TINY / 4) return 1
  const { value, scale } = expParts(multiplyDouble(ln, y))
  // The error of the logarithm counts up to 746 times.
  if (decided(value, 8) === null) return exactPower(x, y) ?? nearest(exactPow, x, y)
  return settle(value, scale, exactPow, x, y)
}

function exactPow(bits: number, x: number, y: number): Approximation {
  const exact = exactPower(x, y)
  const exponent = scaledOf(y)
  const work = bitsFor(bits, x) + Math.max(0, exponentOf(Math.abs(y))) + 16
  if (exact !== null)
    return { value: scaledOf(exact).mantissa << BigInt(work), exponent: scaledOf(exact).exponent - work }
  const ln = fixedLn(toFixed(x, work), work)
  const product =
    exponent.exponent >= 0
      ? (ln * exponent.mantissa) << BigInt(exponent.exponent)
      : (ln * exponent.mantissa) >> BigInt(-exponent.exponent)
  const result = fixedExp(product, work)
  return { value: result.value, exponent: result.exponent - work }
}

/**
 * x^y rounded, where x^y is a dyadic rational of few bits, which no number of bits would separate from a boundary between doubles; else null. With
 * x = m · 2^e and y = n / 2^k (m, n odd) that needs m to be a 2^k-th power and 2^k to divide e; m^n has then at most n · log₂ m bits.
 */
function exactPower(x: number, y: number): number | null {
  const base = odd(scaledOf(x))
  const power = odd(scaledOf(y))
  let { mantissa, exponent } = base
  for (let k = power.exponent; k < 0; k++) {
    const root = exactRoot(mantissa)
    if (root === null || exponent % 2 !== 0) return null
    mantissa = root
    exponent /= 2
  }
  const n = power.exponent > 0 ? power.mantissa << BigInt(Math.min(power.exponent, 64)) : power.mantissa
  if (mantissa !== 1n && (n < 0n || n * BigInt(bitLength(mantissa) - 1) > 1100n)) return null
  const shift = n * BigInt(exponent)
  if (shift > 5000n || shift < -5000n) return null
  return roundScaled(mantissa === 1n ? 1n : mantissa ** n, Number(shift))
}

/** The same value with an odd mantissa. */
function odd({ mantissa, exponent }: ScaledInteger): ScaledInteger {
  const magnitude = mantissa < 0n ? -mantissa : mantissa
  const zeros = bitLength(magnitude & -magnitude) - 1
  return { mantissa: mantissa >> BigInt(zeros), exponent: exponent + zeros }
}

function exactRoot(value: bigint): bigint | null {
  const root = BigInt(Math.round(Math.sqrt(Number(value))))
  return root * root === value ? root : null
}

/** The cube root, odd. */
export function cbrt(x: number): number {
  if (!Number.isFinite(x) || x === 0) return x
  const size = Math.abs(x)
  const third = Math.floor(exponentOf(size) / 3)
  // m in [1, 8); in two steps, as 2^(3·third) alone may lie beyond the doubles.
  const m = size * powerOfTwo(-third) * powerOfTwo(-third) * powerOfTwo(-third)
  let root = 1 + (m - 1) / 7
  for (let i = 0; i < 6; i++) root -= (root * root * root - m) / (3 * root * root)
  const square = twoProduct(root, root)
  const correction = divide(add(multiplyDouble(square, root), { hi: -m, lo: 0 }), multiplyDouble(square, 3))
  return Math.sign(x) * settle(addDouble(negate(correction), root), third, exactCbrt, size)
}

function exactCbrt(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  const value = toFixed(x, work) << BigInt(2 * work)
  let root = 1n << BigInt(Math.ceil(bitLength(value) / 3) + 1)
  for (;;) {
    const next = (2n * root + value / (root * root)) / 3n
    if (next >= root) return { value: root, exponent: -work }
    root = next
  }
}

/** √Σx², without overflow on the way. */
export function hypot(...values: readonly number[]): number {
  if (values.some((value) => Math.abs(value) === Infinity)) return Infinity
  if (values.some(Number.isNaN)) return NaN
  const greatest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (greatest === 0) return 0
  const shift = exponentOf(greatest)
  if (Math.abs(shift) > 900) return exactHypot(values)
  let sum: DoubleDouble = { hi: 0, lo: 0 }
  for (const value of values) {
    const scaled = value * powerOfTwo(-shift)
    // What is 2^−200 of the greatest or less cannot move the sum, and its square would lose bits.
    if (Math.abs(scaled) > 6e-61) sum = add(sum, twoProduct(scaled, scaled))
  }
  const root = squareRoot(sum)
  const rounded = decided(root, 1 + values.length)
  return rounded === null ? exactHypot(values) : rounded * powerOfTwo(shift)
}

function exactHypot(values: readonly number[]): number {
  const sum: ScaledInteger = { mantissa: 0n, exponent: 0 }
  for (const value of values) {
    const { mantissa, exponent } = scaledOf(value)
    addScaled(sum, mantissa * mantissa, 2 * exponent)
  }
  return sum.exponent >= 0
    ? roundSqrtRatio(sum.mantissa << BigInt(sum.exponent), 1n)
    : roundSqrtRatio(sum.mantissa, 1n << BigInt(-sum.exponent))
}
