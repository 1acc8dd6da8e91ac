import { bitLength, integerSqrt } from './round-ratio.ts'
import { scaledOf } from './scaled-integer.ts'

/*
 * Elementary functions in fixed point: a bigint v with `bits` bits after the point stands for v · 2^−bits. Series whose terms are truncated: errors
 * of at most a few thousand units in the last place for arguments in the stated range, which callers cover with guard bits.
 */

/** A finite double in fixed point; truncated where it has finer bits. */
export function toFixed(x: number, bits: number): bigint {
  const { mantissa, exponent } = scaledOf(x)
  const shift = exponent + bits
  return shift >= 0 ? mantissa << BigInt(shift) : mantissa >> BigInt(-shift)
}

const caches = new Map<string, bigint>()

function cached(name: string, bits: number, compute: () => bigint): bigint {
  const key = `${name} ${bits}`
  const known = caches.get(key)
  if (known !== undefined) return known
  const value = compute()
  if (caches.size > 64) caches.clear()
  caches.set(key, value)
  return value
}

/** Machin 1706: π = 16 atan(1/5) − 4 atan(1/239). */
export function fixedPi(bits: number): bigint {
  return cached('pi', bits, () => 16n * arcOfInverse(5n, bits, -1n) - 4n * arcOfInverse(239n, bits, -1n))
}

/** ln 2 = 18 artanh(1/26) − 2 artanh(1/4801) + 8 artanh(1/8749). */
export function fixedLn2(bits: number): bigint {
  return cached(
    'ln2',
    bits,
    () => 18n * arcOfInverse(26n, bits, 1n) - 2n * arcOfInverse(4801n, bits, 1n) + 8n * arcOfInverse(8749n, bits, 1n),
  )
}

/** Σ sign^i / ((2i + 1) n^(2i + 1)): atan(1/n) for sign −1, artanh(1/n) for sign 1. */
function arcOfInverse(n: bigint, bits: number, sign: 1n | -1n): bigint {
  let power = (1n << BigInt(bits)) / n
  let sum = 0n
  for (let i = 1n; power !== 0n; i += 2n) {
    sum += power / i
    power = (sign * power) / (n * n)
  }
  return sum
}

/** e^x as value · 2^exponent, value in fixed point within [1, 2). */
export function fixedExp(x: bigint, bits: number): { readonly value: bigint; readonly exponent: number } {
  const ln2 = fixedLn2(bits)
  const exponent = floorDivide(x, ln2)
  const halvings = 8n
  const r = (x - exponent * ln2) >> halvings
  const one = 1n << BigInt(bits)
  let sum = one
  let term = one
  for (let i = 1n; term !== 0n; i++) {
    term = ((term * r) >> BigInt(bits)) / i
    sum += term
  }
  for (let i = 0n; i < halvings; i++) sum = (sum * sum) >> BigInt(bits)
  return { value: sum, exponent: Number(exponent) }
}

/** ln x for x > 0 in fixed point. */
export function fixedLn(x: bigint, bits: number): bigint {
  const exponent = bitLength(x) - 1 - bits
  // m in [1, 2), halved above √2, so that the series sees |s| ≤ 0.172.
  const shifted = exponent >= 0 ? x >> BigInt(exponent) : x << BigInt(-exponent)
  const one = 1n << BigInt(bits)
  const halve = shifted * shifted > one * one * 2n
  const m = halve ? shifted : shifted * 2n
  const unit = one * 2n
  const s = ((m - unit) << BigInt(bits)) / (m + unit)
  const square = (s * s) >> BigInt(bits)
  let sum = 0n
  let power = s
  for (let i = 1n; power !== 0n && power !== -1n; i += 2n) {
    sum += power / i
    power = (power * square) >> BigInt(bits)
  }
  return 2n * sum + BigInt(exponent + (halve ? 1 : 0)) * fixedLn2(bits)
}

/** sin r and cos r for |r| ≤ 1. */
export function fixedSinCos(r: bigint, bits: number): { readonly sin: bigint; readonly cos: bigint } {
  const square = (r * r) >> BigInt(bits)
  const series = (first: bigint, from: bigint): bigint => {
    let sum = 0n
    let term = first
    for (let i = from; term !== 0n && term !== -1n; i += 2n) {
      sum += term
      term = -(((term * square) >> BigInt(bits)) / (i * (i + 1n)))
    }
    return sum
  }
  return { sin: series(r, 2n), cos: series(1n << BigInt(bits), 1n) }
}

/** The angle of (x, y), both ≥ 0 and not both 0, at any common scale: 0 to π/2. */
export function fixedAngle(y: bigint, x: bigint, bits: number): bigint {
  if (y > x) return (fixedPi(bits) >> 1n) - fixedAtan((x << BigInt(bits)) / y, bits)
  return fixedAtan((y << BigInt(bits)) / x, bits)
}

/** atan v for 0 ≤ v ≤ 1: halved four times by atan v = 2 atan(v / (1 + √(1 + v²))), then the series. */
function fixedAtan(v: bigint, bits: number): bigint {
  const one = 1n << BigInt(bits)
  let r = v
  for (let i = 0; i < 4; i++) r = (r << BigInt(bits)) / (one + integerSqrt(one * one + r * r))
  const square = (r * r) >> BigInt(bits)
  let sum = 0n
  let power = r
  for (let i = 1n; power !== 0n; i += 2n) {
    sum += power / i
    power = -((power * square) / one)
  }
  return sum << 4n
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a < 0n !== b < 0n && quotient * b !== a ? quotient - 1n : quotient
}
