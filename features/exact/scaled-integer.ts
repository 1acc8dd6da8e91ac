import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import { bitLength } from './round-ratio.ts'

/**
 * mantissa · 2^exponent, exactly. The form held in memory is free (the exponent of the finest term so far); the encoded form has an odd mantissa,
 * so equal values have equal bytes.
 */
export interface ScaledInteger {
  mantissa: bigint
  exponent: number
}

const view = new DataView(new ArrayBuffer(8))

/** A finite double. */
export function scaledOf(value: number): ScaledInteger {
  if (Number.isSafeInteger(value)) return { mantissa: BigInt(value), exponent: 0 }
  view.setFloat64(0, value)
  const high = view.getUint32(0)
  const exponent = (high >>> 20) & 0x7ff
  const fraction = BigInt(high & 0xfffff) * 4294967296n + BigInt(view.getUint32(4))
  const magnitude = exponent === 0 ? fraction : fraction + 4503599627370496n
  return { mantissa: high >>> 31 === 1 ? -magnitude : magnitude, exponent: Math.max(exponent, 1) - 1075 }
}

/** into += mantissa · 2^exponent. */
export function addScaled(into: ScaledInteger, mantissa: bigint, exponent: number): void {
  if (mantissa === 0n) return
  if (into.mantissa === 0n) {
    into.mantissa = mantissa
    into.exponent = exponent
  } else if (exponent >= into.exponent) {
    into.mantissa += mantissa << BigInt(exponent - into.exponent)
  } else {
    into.mantissa = (into.mantissa << BigInt(into.exponent - exponent)) + mantissa
    into.exponent = exponent
  }
}

/** The integer value · 2^−exponent; `exponent` at or below the value's own. */
export function integerAt(value: ScaledInteger, exponent: number): bigint {
  return value.mantissa === 0n ? 0n : value.mantissa << BigInt(value.exponent - exponent)
}

/*
 *   u8 0                                          zero
 *   u8 1 | 2 (sign −), svarint exponent, blob     the odd magnitude, big-endian
 */
export function writeScaled(value: ScaledInteger, writer: ByteWriter): void {
  if (value.mantissa === 0n) return writer.u8(0)
  const negative = value.mantissa < 0n
  const magnitude = negative ? -value.mantissa : value.mantissa
  const zeros = bitLength(magnitude & -magnitude) - 1
  writer.u8(negative ? 2 : 1)
  writer.svarint(value.exponent + zeros)
  writer.blob(bigEndian(magnitude >> BigInt(zeros)))
}

export function readScaled(reader: ByteReader): ScaledInteger {
  const sign = reader.u8()
  if (sign === 0) return { mantissa: 0n, exponent: 0 }
  const exponent = reader.svarint()
  const magnitude = fromBigEndian(reader.blob())
  return { mantissa: sign === 2 ? -magnitude : magnitude, exponent }
}

function bigEndian(magnitude: bigint): Uint8Array {
  const hex = magnitude.toString(16)
  const padded = hex.length % 2 === 0 ? hex : `0${hex}`
  const bytes = new Uint8Array(padded.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(padded.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

function fromBigEndian(bytes: Uint8Array): bigint {
  let hex = '0x0'
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0')
  return BigInt(hex)
}
