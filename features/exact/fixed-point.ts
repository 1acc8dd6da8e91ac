/*
 * Exact sums of doubles: every finite double is an integer multiple of 2^−1074, so a sum of doubles is an integer in that unit. BigInt holds it without
 * rounding or overflow (the "long accumulator" of Kulisch). The result is rounded once, to nearest, ties to even.
 */
const view = new DataView(new ArrayBuffer(8))

/** value · 2^1074, exactly. `value` is finite. */
export function toFixedPoint(value: number): bigint {
  view.setFloat64(0, value)
  const high = view.getUint32(0)
  const exponent = (high >>> 20) & 0x7ff
  const fraction = BigInt(high & 0xfffff) * 4294967296n + BigInt(view.getUint32(4))
  const magnitude = exponent === 0 ? fraction : (fraction + 4503599627370496n) << BigInt(exponent - 1)
  return high >>> 31 === 1 ? -magnitude : magnitude
}

/** total · 2^−1074, rounded once (±Infinity where it lies beyond the doubles). Never −0. */
export function fromFixedPoint(total: bigint): number {
  const magnitude = total < 0n ? -total : total
  const bits = bitLength(magnitude)
  // Number(BigInt) rounds to nearest, ties to even (ECMAScript 21.2.1.1.1): below 2^971 · 2^53 it cannot overflow on the way.
  const value = bits <= 1000 ? Number(magnitude) * 2 ** -1074 : roundLarge(magnitude, bits)
  return total < 0n ? -value + 0 : value
}

/** More than 1,000 bits: keep 64 with a sticky last bit, round to 53 by Number(), scale exactly. */
function roundLarge(magnitude: bigint, bits: number): number {
  const drop = BigInt(bits - 64)
  const kept = magnitude >> drop
  const sticky = kept << drop === magnitude ? 0n : 1n
  return Number(kept | sticky) * 2 ** (bits - 64 - 1074)
}

function bitLength(magnitude: bigint): number {
  const hex = magnitude.toString(16)
  return (hex.length - 1) * 4 + (32 - Math.clz32(parseInt(hex[0], 16)))
}
