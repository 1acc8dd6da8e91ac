import {
  add,
  addDouble,
  divide,
  fastTwoSum,
  multiply,
  multiplyDouble,
  reciprocal,
  squareRoot,
  twoProduct,
  twoSum,
} from '../double-double.ts'
import type { DoubleDouble } from '../double-double.ts'
import { fixedLn, fixedLn2, toFixed } from '../fixed-elementary.ts'
import { GUARD, exponentOf, powerOfTwo, settle } from '../nearest.ts'
import type { Approximation } from '../nearest.ts'
import { integerSqrt } from '../round-ratio.ts'
import { TABLE_BITS, doubleDoubleOf, lazy } from './constants.ts'
import { TINY } from './exponential.ts'

const SQRT2 = 1.4142135623730951
const CELLS = 128

const tables = lazy(() => {
  const one = 1n << BigInt(TABLE_BITS)
  const ln2 = fixedLn2(TABLE_BITS)
  const ln10 = fixedLn(10n << BigInt(TABLE_BITS), TABLE_BITS)
  // Cell j holds m in [j/128, (j + 1)/128): a factor of 9 bits that brings m near 1, and minus its logarithm. Around 1 the factor is 1.
  const cells = Array.from({ length: 2 * CELLS }, (_, j) => {
    const factor = j === CELLS || j === CELLS - 1 || j < CELLS / 2 ? 1 : Math.round((256 * CELLS) / (j + 0.5)) / 256
    return { factor, ln: doubleDoubleOf(-fixedLn(toFixed(factor, TABLE_BITS), TABLE_BITS)) }
  })
  return {
    cells,
    ln2: doubleDoubleOf(ln2),
    log2e: doubleDoubleOf((one * one) / ln2),
    log10e: doubleDoubleOf((one * one) / ln10),
    thirds: [3, 5, 7].map(reciprocal),
  }
})

/** 2 artanh s for |s| ≤ 0.0082: the series to s^15, the last four terms in doubles. */
function twiceArtanh(s: DoubleDouble): DoubleDouble {
  const { thirds } = tables()
  const z = multiply(s, s)
  const x = z.hi
  const tail = 1 / 9 + x * (1 / 11 + x * (1 / 13 + x / 15))
  let sum = addDouble(thirds[2], x * tail)
  for (let i = 1; i >= 0; i--) sum = add(thirds[i], multiply(z, sum))
  const half = add(s, multiply(multiply(s, z), sum))
  return { hi: 2 * half.hi, lo: 2 * half.lo }
}

/** ln(1 + d) for |d| ≤ 1/64, with a small relative error. */
function ln1pSmall(d: DoubleDouble): DoubleDouble {
  return twiceArtanh(divide(d, addDouble(d, 2)))
}

/** x = m · 2^exponent with m in [√½, √2]. */
function reduced(x: DoubleDouble): { readonly m: DoubleDouble; readonly exponent: number } {
  const whole = exponentOf(x.hi)
  // In two steps, as 2^−whole alone may lie beyond the normal doubles.
  const [first, second] = [powerOfTwo(-Math.trunc(whole / 2)), powerOfTwo(Math.trunc(whole / 2) - whole)]
  const hi = x.hi * first * second
  const lo = x.lo * first * second
  return hi > SQRT2 ? { m: { hi: hi / 2, lo: lo / 2 }, exponent: whole + 1 } : { m: { hi, lo }, exponent: whole }
}

/** ln m for m in [√½, √2]. */
function lnReduced(m: DoubleDouble): DoubleDouble {
  const { factor, ln } = tables().cells[Math.floor(m.hi * CELLS)]
  const small = ln1pSmall(addDouble(multiplyDouble(m, factor), -1))
  return factor === 1 ? small : add(ln, small)
}

/** ln x for x > 0, with a small relative error also near 1. */
export function lnParts(x: DoubleDouble): DoubleDouble {
  const { m, exponent } = reduced(x)
  const ln = lnReduced(m)
  return exponent === 0 ? ln : add(multiplyDouble(tables().ln2, exponent), ln)
}

/** ln(1 + d) for d ≥ 0, with a small relative error also near 0. */
function ln1pParts(d: DoubleDouble): DoubleDouble {
  return Math.abs(d.hi) <= 1 / 64 ? ln1pSmall(d) : lnParts(addDouble(d, 1))
}

/** Natural logarithm. */
export function log(x: number): number {
  if (!(x > 0) || x === Infinity) return edgeOfLog(x)
  if (x === 1) return 0
  return settle(lnParts({ hi: x, lo: 0 }), 0, exactLn, x)
}

function edgeOfLog(x: number): number {
  return x === 0 ? -Infinity : x > 0 ? Infinity : NaN
}

/** Fixed-point bits that hold every bit of x > 0. */
export function bitsFor(bits: number, x: number): number {
  return bits + GUARD + Math.max(0, -exponentOf(x)) + 53
}

function exactLn(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  return { value: fixedLn(toFixed(x, work), work), exponent: -work }
}

/** ln(1 + x). */
export function log1p(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  if (x <= -1) return x === -1 ? -Infinity : NaN
  if (x === Infinity) return Infinity
  const approximate = Math.abs(x) <= 1 / 64 ? ln1pSmall({ hi: x, lo: 0 }) : lnParts(twoSum(1, x))
  return settle(approximate, 0, exactLn1p, x)
}

function exactLn1p(bits: number, x: number): Approximation {
  const work = bitsFor(bits, Math.abs(x))
  return { value: fixedLn(toFixed(x, work) + (1n << BigInt(work)), work), exponent: -work }
}

/** Binary logarithm; exact for powers of two. */
export function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return edgeOfLog(x)
  const { m, exponent } = reduced({ hi: x, lo: 0 })
  if (m.hi === 1) return exponent
  const fraction = multiply(lnReduced(m), tables().log2e)
  return settle(addDouble(fraction, exponent), 0, exactLog2, x)
}

function exactLog2(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  return { value: (fixedLn(toFixed(x, work), work) << BigInt(work)) / fixedLn2(work), exponent: -work }
}

/** Decimal logarithm; exact for powers of ten. */
export function log10(x: number): number {
  if (!(x > 0) || x === Infinity) return edgeOfLog(x)
  if (x === 1) return 0
  return settle(multiply(lnParts({ hi: x, lo: 0 }), tables().log10e), 0, exactLog10, x)
}

function exactLog10(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  const ln10 = fixedLn(10n << BigInt(work), work)
  return { value: (fixedLn(toFixed(x, work), work) << BigInt(work)) / ln10, exponent: -work }
}

const LARGE = 268435456

/** ln(x + √(x² + 1)), odd. */
export function asinh(x: number): number {
  if (!Number.isFinite(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  return Math.sign(x) * settle(size >= LARGE ? largeArea(size, 1) : asinhParts(size), 0, exactAsinh, size)
}

function asinhParts(x: number): DoubleDouble {
  const square = twoProduct(x, x)
  const root = squareRoot(addDouble(square, 1))
  return ln1pParts(addDouble(divide(square, addDouble(root, 1)), x))
}

/** ln(x + √(x² ± 1)) = ln 2x ± 1/(4x²) − 3/(32x⁴) … for x ≥ 2^28. */
function largeArea(x: number, sign: 1 | -1): DoubleDouble {
  const ln = add(lnParts({ hi: x, lo: 0 }), tables().ln2)
  return x > 1e30 ? ln : add(ln, fastTwoSum((sign * 0.25) / x / x, 0))
}

function exactAsinh(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  const fixed = toFixed(x, work)
  const root = integerSqrt(fixed * fixed + (1n << BigInt(2 * work)))
  return { value: fixedLn(fixed + root, work), exponent: -work }
}

/** ln(x + √(x² − 1)) for x ≥ 1. */
export function acosh(x: number): number {
  if (!(x >= 1)) return NaN
  if (x === 1) return 0
  if (x === Infinity) return Infinity
  return settle(x >= LARGE ? largeArea(x, -1) : acoshParts(x), 0, exactAcosh, x)
}

function acoshParts(x: number): DoubleDouble {
  const t = twoSum(x, -1)
  return ln1pParts(add(t, squareRoot(multiply(t, addDouble(t, 2)))))
}

function exactAcosh(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  const fixed = toFixed(x, work)
  const root = integerSqrt(fixed * fixed - (1n << BigInt(2 * work)))
  return { value: fixedLn(fixed + root, work), exponent: -work }
}

/** ½ ln((1 + x) / (1 − x)), odd. */
export function atanh(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  if (size >= 1) return size === 1 ? x * Infinity : NaN
  const twice = size <= 0.0078 ? twiceArtanh({ hi: size, lo: 0 }) : lnParts(divide(twoSum(1, size), twoSum(1, -size)))
  return Math.sign(x) * settle({ hi: twice.hi / 2, lo: twice.lo / 2 }, 0, exactAtanh, size)
}

function exactAtanh(bits: number, x: number): Approximation {
  const work = bitsFor(bits, x)
  const one = 1n << BigInt(work)
  const fixed = toFixed(x, work)
  return { value: fixedLn(((one + fixed) << BigInt(work)) / (one - fixed), work), exponent: -work - 1 }
}
