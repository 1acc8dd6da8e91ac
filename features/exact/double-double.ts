/**
 * A number as the unevaluated sum of two doubles, |lo| ≤ ulp(hi) / 2: about 106 bits, from IEEE 754 basic operations alone, so the same bits on every
 * engine. Relative errors are at most a few 2^−104 where nothing overflows and no part is subnormal (Dekker 1971; Joldes, Muller, Popescu 2017).
 */
export interface DoubleDouble {
  readonly hi: number
  readonly lo: number
}

/** 2^27 + 1 splits a double in two halves of at most 26 bits. */
const SPLITTER = 134217729

/** a + b exactly. */
export function twoSum(a: number, b: number): DoubleDouble {
  const hi = a + b
  const back = hi - a
  return { hi, lo: a - (hi - back) + (b - back) }
}

/** a + b exactly, where |a| ≥ |b| or a is 0. */
export function fastTwoSum(a: number, b: number): DoubleDouble {
  const hi = a + b
  return { hi, lo: b - (hi - a) }
}

/** a · b exactly, for factors below 2^996 and products that are normal. */
export function twoProduct(a: number, b: number): DoubleDouble {
  const hi = a * b
  const ca = SPLITTER * a
  const aHigh = ca - (ca - a)
  const aLow = a - aHigh
  const cb = SPLITTER * b
  const bHigh = cb - (cb - b)
  const bLow = b - bHigh
  return { hi, lo: aHigh * bHigh - hi + aHigh * bLow + aLow * bHigh + aLow * bLow }
}

export function negate(a: DoubleDouble): DoubleDouble {
  return { hi: -a.hi, lo: -a.lo }
}

export function add(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const high = twoSum(a.hi, b.hi)
  const low = twoSum(a.lo, b.lo)
  const sum = fastTwoSum(high.hi, high.lo + low.hi)
  return fastTwoSum(sum.hi, low.lo + sum.lo)
}

export function addDouble(a: DoubleDouble, b: number): DoubleDouble {
  const sum = twoSum(a.hi, b)
  return fastTwoSum(sum.hi, a.lo + sum.lo)
}

export function multiply(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const product = twoProduct(a.hi, b.hi)
  return fastTwoSum(product.hi, product.lo + (a.hi * b.lo + a.lo * b.hi))
}

export function multiplyDouble(a: DoubleDouble, b: number): DoubleDouble {
  const product = twoProduct(a.hi, b)
  return fastTwoSum(product.hi, product.lo + a.lo * b)
}

export function divide(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const first = a.hi / b.hi
  const rest = add(a, negate(multiplyDouble(b, first)))
  const second = rest.hi / b.hi
  const rest2 = add(rest, negate(multiplyDouble(b, second)))
  const sum = fastTwoSum(first, second)
  return addDouble(sum, rest2.hi / b.hi)
}

/** √a for a > 0. */
export function squareRoot(a: DoubleDouble): DoubleDouble {
  const first = Math.sqrt(a.hi)
  const rest = add(a, negate(twoProduct(first, first)))
  const root = fastTwoSum(first, rest.hi / (2 * first))
  const rest2 = add(a, negate(multiply(root, root)))
  return addDouble(root, rest2.hi / (2 * first))
}

/** 1 / n for an integer n. */
export function reciprocal(n: number): DoubleDouble {
  return divide({ hi: 1, lo: 0 }, { hi: n, lo: 0 })
}
