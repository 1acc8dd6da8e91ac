import { add, addDouble, divide, multiply, multiplyDouble, reciprocal, twoSum } from '../double-double.ts'
import type { DoubleDouble } from '../double-double.ts'
import { fixedExp, fixedLn2, toFixed } from '../fixed-elementary.ts'
import { GUARD, settle } from '../nearest.ts'
import type { Approximation } from '../nearest.ts'
import { TABLE_BITS, doubleDoubleOf, lazy, splitConstant } from './constants.ts'

/** Below it f(x) = x (1 ± 2^−54 …) rounds to x for expm1, log1p and every odd function here. */
export const TINY = 2.7755575615628914e-17
const STEPS = 64
const ONE: DoubleDouble = { hi: 1, lo: 0 }

const tables = lazy(() => {
  const ln2 = fixedLn2(TABLE_BITS)
  return {
    /** 2^(i / 64). */
    powers: Array.from({ length: STEPS }, (_, i) =>
      doubleDoubleOf(fixedExp((ln2 * BigInt(i)) / BigInt(STEPS), TABLE_BITS).value),
    ),
    stepInverse: STEPS / doubleDoubleOf(ln2).hi,
    /** ln 2 / 64 in three exact parts and a rest. */
    step: splitConstant(ln2 / BigInt(STEPS), 3),
    inverses: [2, 6, 24, 120].map(reciprocal),
  }
})

/** e^r − 1 for |r| ≤ 0.0055: Taylor to r^11, the last six terms in doubles. */
function expm1Series(r: DoubleDouble): DoubleDouble {
  const { inverses } = tables()
  const x = r.hi
  const tail = 1 / 720 + x * (1 / 5040 + x * (1 / 40320 + x * (1 / 362880 + x * (1 / 3628800 + x / 39916800))))
  let sum = addDouble(inverses[3], x * tail)
  for (let i = 2; i >= 0; i--) sum = add(inverses[i], multiply(r, sum))
  return add(r, multiply(multiply(r, r), sum))
}

/** e^x = value · 2^scale for |x| ≤ 800 (Tang 1989: x = (64 k + i) ln 2 / 64 + r). */
export function expParts(x: DoubleDouble): { readonly value: DoubleDouble; readonly scale: number } {
  const { powers, stepInverse, step } = tables()
  const n = Math.round(x.hi * stepInverse)
  let r = twoSum(x.hi, -n * step[0])
  r = addDouble(addDouble(r, -n * step[1]), -n * step[2])
  r = addDouble(addDouble(r, -n * step[3]), x.lo)
  const i = ((n % STEPS) + STEPS) % STEPS
  const power = powers[i]
  return { value: add(power, multiply(power, expm1Series(r))), scale: (n - i) / STEPS }
}

/** e^x − 1 for |x| ≤ 40, with a small relative error also near 0. */
function expm1Parts(x: number): DoubleDouble {
  if (Math.abs(x) <= 0.0054) return expm1Series({ hi: x, lo: 0 })
  const { value, scale } = expParts({ hi: x, lo: 0 })
  return addDouble(multiplyDouble(value, powerOf2(scale)), -1)
}

/** 2^n for |n| ≤ 64. */
function powerOf2(n: number): number {
  let power = 1
  for (let i = Math.abs(n); i > 0; i--) power *= 2
  return n < 0 ? 1 / power : power
}

/** e^x. */
export function exp(x: number): number {
  if (Number.isNaN(x)) return NaN
  if (x > 709.8) return Infinity
  if (x < -745.2) return 0
  if (Math.abs(x) < TINY) return 1 + x
  const { value, scale } = expParts({ hi: x, lo: 0 })
  return settle(value, scale, exactExp, x)
}

function exactExp(bits: number, x: number): Approximation {
  const work = bits + GUARD
  const { value, exponent } = fixedExp(toFixed(x, work), work)
  return { value, exponent: exponent - work }
}

/** e^x − 1. */
export function expm1(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  if (x > 709.8) return Infinity
  if (x < -38) return -1
  if (x <= 38) return settle(expm1Parts(x), 0, exactExpm1, x)
  const { value, scale } = expParts({ hi: x, lo: 0 })
  // Above 38 the 1 lies 55 bits below: it still counts where e^x lies that close to a boundary.
  return settle(scale < 100 ? addDouble(value, -1 / powerOf2(scale)) : value, scale, exactExpm1, x)
}

function exactExpm1(bits: number, x: number): Approximation {
  const work = bits + GUARD
  const { value, exponent } = fixedExp(toFixed(x, work), work)
  const one = 1n << BigInt(work)
  return exponent >= 0
    ? { value: value - (one >> BigInt(exponent)), exponent: exponent - work }
    : { value: (value >> BigInt(-exponent)) - one, exponent: -work }
}

/** (e^x − e^−x) / 2. */
export function sinh(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  if (size > 711) return x < 0 ? -Infinity : Infinity
  return Math.sign(x) * hyperbolic(size, -1, exactSinh)
}

/** (e^x + e^−x) / 2. */
export function cosh(x: number): number {
  if (Number.isNaN(x)) return NaN
  const size = Math.abs(x)
  if (size > 711) return Infinity
  return size < TINY ? 1 : hyperbolic(size, 1, exactCosh)
}

/** (e^x + sign e^−x) / 2 for x > 0. */
function hyperbolic(x: number, sign: 1 | -1, exact: typeof exactSinh): number {
  if (x >= 40) {
    const { value, scale } = expParts({ hi: x, lo: 0 })
    return settle(value, scale - 1, exact, x)
  }
  const u = expm1Parts(x)
  const v = addDouble(u, 1)
  const twice = sign === -1 ? add(u, divide(u, v)) : add(v, divide(ONE, v))
  return settle({ hi: twice.hi / 2, lo: twice.lo / 2 }, 0, exact, x)
}

function exactSinh(bits: number, x: number): Approximation {
  return exactHyperbolic(bits, x, -1n)
}

function exactCosh(bits: number, x: number): Approximation {
  return exactHyperbolic(bits, x, 1n)
}

function exactHyperbolic(bits: number, x: number, sign: 1n | -1n): Approximation {
  const { value, inverse, exponent, work } = exponentials(bits, x)
  return { value: value + sign * inverse, exponent: exponent - work - 1 }
}

/** e^x and e^−x for x > 0 at one scale. */
function exponentials(bits: number, x: number) {
  const work = bits + GUARD
  const { value, exponent } = fixedExp(toFixed(x, work), work)
  const inverse = ((1n << BigInt(2 * work)) / value) >> BigInt(2 * exponent)
  return { value, inverse, exponent, work }
}

/** sinh x / cosh x. */
export function tanh(x: number): number {
  if (Number.isNaN(x) || Math.abs(x) < TINY) return x
  const size = Math.abs(x)
  if (size >= 20) return Math.sign(x)
  const u = expm1Parts(2 * size)
  return Math.sign(x) * settle(divide(u, addDouble(u, 2)), 0, exactTanh, size)
}

function exactTanh(bits: number, x: number): Approximation {
  const { value, inverse, work } = exponentials(bits, x)
  return { value: ((value - inverse) << BigInt(work)) / (value + inverse), exponent: -work }
}
