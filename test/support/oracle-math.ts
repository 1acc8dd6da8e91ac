import { nearest, units } from './oracle-aggregations.ts'

/**
 * The obvious transcendental functions: power series and inverses in rational fixed point of BITS bits, without any reduction that the product uses,
 * rounded by bisection over the doubles. It judges to the last bit; an argument whose value lies within 2^−(BITS − 1100) of a boundary would be refused.
 */
const BITS = 1500n
const ONE = 1n << BITS

/** Every double is a whole number of 2^−1076; BITS is more. */
const fixed = (x: number): bigint => units(x) << (BITS - 1076n)
const times = (a: bigint, b: bigint): bigint => (a * b) >> BITS
const over = (a: bigint, b: bigint): bigint => (a << BITS) / b

/** Σ x^n / n!, for any x. */
function series(x: bigint, first: bigint, from: bigint, step: bigint, sign: bigint): bigint {
  const power = step === 1n ? x : times(x, x)
  let sum = 0n
  let term = first
  for (let n = from; term !== 0n && term !== -1n; n += step) {
    sum += term
    for (let i = 1n; i <= step; i++) term /= n + i
    term = sign * times(term, power)
    if (term < 0n && term > -2n) break
  }
  return sum
}

/** e^x ≥ 2^−1200 or so; negative x by the inverse, so that no digits cancel. */
function exp(x: bigint): bigint {
  return x < 0n ? over(ONE, exp(-x)) : series(x, ONE, 0n, 1n, 1n)
}

/** Newton on e^y = x: y + 2 (x − e^y) / (x + e^y) triples the digits. */
function ln(x: bigint): bigint {
  let y = fixed(Math.log(toNumber(x)))
  for (let i = 0; i < 6; i++) {
    const e = exp(y)
    y += over(2n * (x - e), x + e)
  }
  return y
}

/** Euler: atan x = Σ 2^2n (n!)² / (2n + 1)! · x^(2n + 1) / (1 + x²)^(n + 1). */
function atan(x: bigint): bigint {
  if (x < 0n) return -atan(-x)
  if (x > ONE) return PI / 2n - atan(over(ONE, x))
  const square = times(x, x)
  const ratio = over(square, ONE + square)
  let term = over(x, ONE + square)
  let sum = 0n
  for (let n = 1n; term !== 0n; n++) {
    sum += term
    term = (times(term, ratio) * 2n * n) / (2n * n + 1n)
  }
  return sum
}

/** Gauss and Legendre. */
function computePi(): bigint {
  let a = ONE
  let b = root(ONE / 2n)
  let t = ONE / 4n
  let p = 1n
  for (let i = 0; i < 12; i++) {
    const next = (a + b) / 2n
    b = root(times(a, b))
    t -= p * times(a - next, a - next)
    a = next
    p *= 2n
  }
  return over(times(a + b, a + b), 4n * t)
}

function root(x: bigint): bigint {
  let low = 0n
  let high = x > ONE ? x : ONE
  high += 1n
  while (high - low > 1n) {
    const middle = (low + high) / 2n
    if (middle * middle <= x << BITS) low = middle
    else high = middle
  }
  return low
}

const PI = computePi()
const toNumber = (x: bigint): number => nearest(x, ONE)
const sin = (x: bigint): bigint => series(x, x, 1n, 2n, -1n)
const cos = (x: bigint): bigint => series(x, ONE, 0n, 2n, -1n)
const sinh = (x: bigint): bigint => (exp(x) - exp(-x)) / 2n
const cosh = (x: bigint): bigint => (exp(x) + exp(-x)) / 2n

type Function = (x: bigint, y: bigint) => bigint

const FUNCTIONS: Readonly<Record<string, Function>> = {
  exp: (x) => exp(x),
  expm1: (x) => exp(x) - ONE,
  log: (x) => ln(x),
  log1p: (x) => ln(ONE + x),
  log2: (x) => over(ln(x), ln(2n * ONE)),
  log10: (x) => over(ln(x), ln(10n * ONE)),
  pow: (x, y) => exp(times(y, ln(x))),
  cbrt: (x) => (x < 0n ? -exp(ln(-x) / 3n) : exp(ln(x) / 3n)),
  hypot: (x, y) => root(times(x, x) + times(y, y)),
  sin,
  cos,
  tan: (x) => over(sin(x), cos(x)),
  asin: (x) => atan(over(x, root(ONE - times(x, x)))),
  acos: (x) => PI / 2n - atan(over(x, root(ONE - times(x, x)))),
  atan,
  atan2: (y, x) => (x > 0n ? atan(over(y, x)) : (y < 0n ? -PI : PI) + atan(over(y, x))),
  sinh,
  cosh,
  tanh: (x) => over(sinh(x), cosh(x)),
  asinh: (x) => (x < 0n ? -ln(-x + root(times(x, x) + ONE)) : ln(x + root(times(x, x) + ONE))),
  acosh: (x) => ln(x + root(times(x, x) - ONE)),
  atanh: (x) => ln(over(ONE + x, ONE - x)) / 2n,
}

/** The double nearest to the function's value at doubles where it is defined, finite, and not exactly on a boundary between doubles. */
export function oracleMath(name: string, x: number, y: number = 0): number {
  const value = FUNCTIONS[name](fixed(x), fixed(y))
  const slack = 1n << 300n
  const result = nearest(value - slack, ONE)
  if (result !== nearest(value + slack, ONE))
    throw new Error(`${name}(${x}, ${y}) lies too near to a boundary for the oracle`)
  return result
}
