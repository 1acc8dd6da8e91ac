/** A binary floating-point format: bits of the significand, exponent of the smallest positive number, and the largest finite number. */
export interface FloatFormat {
  readonly precision: number
  readonly exponentMin: number
  readonly largest: number
}

export const FLOAT64: FloatFormat = { precision: 53, exponentMin: -1074, largest: Number.MAX_VALUE }
export const FLOAT32: FloatFormat = { precision: 24, exponentMin: -149, largest: (2 - 2 ** -23) * 2 ** 127 }

/** numerator / denominator, rounded once to nearest, ties to even; ±Infinity beyond the format; never −0. `denominator` > 0. */
export function roundRatio(numerator: bigint, denominator: bigint, format: FloatFormat = FLOAT64): number {
  if (numerator === 0n) return 0
  const magnitude = numerator < 0n ? -numerator : numerator
  const value = roundMagnitude(magnitude, denominator, format)
  return numerator < 0n ? -value + 0 : value
}

/** √(numerator / denominator), rounded once to nearest, ties to even. `numerator` ≥ 0, `denominator` > 0. */
export function roundSqrtRatio(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0
  const length = bitLength(numerator) - bitLength(denominator)
  // The root then has at least 64 bits; an odd last bit below them says that there is more.
  let shift = 130 - length
  if (shift % 2 !== 0) shift++
  const [scaled, divisor] = shifted(numerator, denominator, shift)
  const quotient = scaled / divisor
  const root = integerSqrt(quotient)
  const exact = root * root === quotient && quotient * divisor === scaled
  const [top, bottom] = shifted(root * 2n + (exact ? 0n : 1n), 1n, -(shift / 2 + 1))
  return roundRatio(top, bottom)
}

/** ⌊√value⌋ by Newton's method from above. */
export function integerSqrt(value: bigint): bigint {
  if (value < 2n) return value
  let root = 1n << BigInt((bitLength(value) + 1) >> 1)
  for (;;) {
    const next = (root + value / root) >> 1n
    if (next >= root) return root
    root = next
  }
}

export function bitLength(magnitude: bigint): number {
  if (magnitude === 0n) return 0
  const hex = magnitude.toString(16)
  return (hex.length - 1) * 4 + (32 - Math.clz32(parseInt(hex[0], 16)))
}

/** value · 2^exponent for a power that may lie beyond the doubles; exact where the result is normal. */
export function scaleByPowerOfTwo(value: number, exponent: number): number {
  let scaled = value
  let rest = exponent
  while (rest > 1000 && Number.isFinite(scaled) && scaled !== 0) {
    scaled *= 2 ** 1000
    rest -= 1000
  }
  while (rest < -1000 && scaled !== 0) {
    scaled *= 2 ** -1000
    rest += 1000
  }
  return scaled === 0 || !Number.isFinite(scaled) ? scaled : scaled * 2 ** rest
}

function roundMagnitude(numerator: bigint, denominator: bigint, format: FloatFormat): number {
  const { precision, exponentMin, largest } = format
  let shift = precision - (bitLength(numerator) - bitLength(denominator))
  for (;;) {
    shift = Math.min(shift, -exponentMin)
    const [scaled, divisor] = shifted(numerator, denominator, shift)
    const quotient = scaled / divisor
    if (bitLength(quotient) > precision) {
      shift--
      continue
    }
    const twice = (scaled - quotient * divisor) * 2n
    const up = twice > divisor || (twice === divisor && (quotient & 1n) === 1n)
    // At most `precision` bits (or a power of two), at or above the smallest exponent: scaling is exact.
    const value = scaleExact(Number(up ? quotient + 1n : quotient), -shift)
    return value > largest ? Infinity : value
  }
}

/** An integer below 2^54 times 2^exponent, where the result is a double or beyond them. */
function scaleExact(value: number, exponent: number): number {
  if (exponent > 1000) return Infinity
  return value * 2 ** exponent
}

function shifted(numerator: bigint, denominator: bigint, shift: number): [bigint, bigint] {
  return shift >= 0 ? [numerator << BigInt(shift), denominator] : [numerator, denominator << BigInt(-shift)]
}
