/*
 * Elementary functions from IEEE 754 basic operations alone (+ − × ÷, each correctly rounded), in a fixed order: the same bits on every
 * engine and processor, which Math.log and Math.exp do not promise. Error below 2 ulp.
 */
const LN2_HIGH = 6.9314718036912381649e-1
const LN2_LOW = 1.90821492927058770002e-10
const SQRT_HALF = 0.7071067811865476
const view = new DataView(new ArrayBuffer(8))

/** Natural logarithm of a positive normal double (fdlibm's reduction: x = 2^k · m, m in [√½, √2)). */
export function ln(x: number): number {
  view.setFloat64(0, x)
  const high = view.getUint32(0)
  let k = (high >>> 20) - 1022
  view.setUint32(0, (high & 0xfffff) | (1022 << 20))
  let m = view.getFloat64(0)
  if (m < SQRT_HALF) {
    m *= 2
    k--
  }
  const f = m - 1
  const s = f / (2 + f)
  const z = s * s
  // 2·atanh(s) − 2s = 2s·(z/3 + z²/5 + …), |s| < 0.1716
  let series = 0
  for (let n = 23; n >= 3; n -= 2) series = z * (1 / n + series)
  return k * LN2_HIGH + (2 * s + (2 * s * series + k * LN2_LOW))
}

/** 2^x for x in [0, 1): Taylor series of exp(x · ln 2) − 1. */
export function exp2(x: number): number {
  const y = x * 0.6931471805599453
  let series = 0
  for (let n = 22; n >= 1; n--) series = (y / n) * (1 + series)
  return 1 + series
}

/** base^n for an integer n, by squaring. */
export function powInteger(base: number, n: number): number {
  let result = 1
  let square = base
  for (let rest = Math.abs(n); rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square
    square *= square
  }
  return n < 0 ? 1 / result : result
}
