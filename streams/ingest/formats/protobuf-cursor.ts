import { failStream } from '../../errors.ts'
import type { ProtobufScalar } from '../../../stores/schemas/protobuf-schema.ts'

/*
 * Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/): fields in any order, each a varint tag (number · 8 + wire type) and a value: 0 a varint, 1 eight bytes, 2 a
 * varint length and so many bytes, 3 and 4 the beginning and end of a group, 5 four bytes.
 */
export const VARINT = 0
export const EIGHT_BYTES = 1
export const LENGTH = 2
const GROUP_START = 3
const GROUP_END = 4
export const FOUR_BYTES = 5
const NESTING_MAX = 64
const VARINT_BYTES_MAX = 10
const TWO_32 = 4_294_967_296

export function malformed(problem: string): Error {
  return failStream('TM_EVENT_MALFORMED', `the bytes are not Protobuf: ${problem}`)
}

/** The wire type of a scalar. */
export function wireTypeOf(scalar: ProtobufScalar): number {
  switch (scalar) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return EIGHT_BYTES
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return FOUR_BYTES
    case 'string':
    case 'bytes':
      return LENGTH
    default:
      return VARINT
  }
}

/** Reads the wire format from a part of a record. TM_EVENT_MALFORMED. */
export class ProtobufCursor {
  bytes: Buffer = Buffer.alloc(0)
  at = 0
  end = 0

  open(bytes: Buffer, from: number, end: number = bytes.length): void {
    this.bytes = bytes
    this.at = from
    this.end = end
  }

  /** Unsigned, up to 64 bits: a number where that is a safe integer. */
  varint(): number | bigint {
    let value = 0
    let scale = 1
    for (let i = 0; i < 7; i++) {
      if (this.at >= this.end) throw malformed('it is cut short')
      const byte = this.bytes[this.at++]
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    let long = BigInt(value)
    for (let i = 7; ; i++) {
      if (this.at >= this.end) throw malformed('it is cut short')
      if (i === VARINT_BYTES_MAX) throw malformed('a varint has more than 10 bytes')
      const byte = this.bytes[this.at++]
      long |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) return safe(BigInt.asUintN(64, long))
    }
  }

  /** The length of what follows, which lies within the bytes. */
  size(): number {
    const size = this.varint()
    if (typeof size !== 'number' || size > this.end - this.at)
      throw malformed(`${size} bytes are announced, ${this.end - this.at} are left`)
    return size
  }

  take(size: number): number {
    if (size > this.end - this.at) throw malformed('it is cut short')
    const from = this.at
    this.at += size
    return from
  }

  /** A number, bigint or boolean; text and bytes are read by their length. */
  scalar(kind: ProtobufScalar): number | bigint | boolean {
    const { bytes } = this
    switch (kind) {
      case 'double':
        return bytes.readDoubleLE(this.take(8))
      case 'float':
        return bytes.readFloatLE(this.take(4))
      case 'fixed32':
        return bytes.readUInt32LE(this.take(4))
      case 'sfixed32':
        return bytes.readInt32LE(this.take(4))
      case 'fixed64':
        return safe(bytes.readBigUInt64LE(this.take(8)))
      case 'sfixed64':
        return safe(bytes.readBigInt64LE(this.take(8)))
      case 'int32':
        return this.int32()
      case 'uint32':
        return this.int32() >>> 0
      case 'sint32': {
        const value = this.int32() >>> 0
        return (value >>> 1) ^ -(value & 1)
      }
      case 'bool':
        return this.varint() !== 0
      case 'uint64':
        return this.varint()
      case 'sint64':
        return zigzag(this.varint())
      default: {
        const value = this.varint()
        return typeof value === 'number' ? value : safe(BigInt.asIntN(64, value))
      }
    }
  }

  /** The low 32 bits of a varint, signed. */
  int32(): number {
    const value = this.varint()
    return typeof value === 'number' ? (value % TWO_32) | 0 : Number(BigInt.asIntN(32, value))
  }

  /** Number and wire type of the next field, as its tag; 0: the end. */
  tag(): number {
    if (this.at >= this.end) return 0
    const tag = this.varint()
    if (typeof tag !== 'number' || tag < 8 || tag >= TWO_32) throw malformed(`${tag} is no tag of a field`)
    return tag
  }

  skip(tag: number, depth: number = 0): void {
    switch (tag % 8) {
      case VARINT:
        return void this.varint()
      case EIGHT_BYTES:
        return void this.take(8)
      case LENGTH:
        return void this.take(this.size())
      case FOUR_BYTES:
        return void this.take(4)
      case GROUP_START:
        return this.#skipGroup(Math.floor(tag / 8), depth)
      default:
        throw malformed(`a field has the wire type ${tag % 8}`)
    }
  }

  #skipGroup(number: number, depth: number): void {
    if (depth >= NESTING_MAX) throw malformed(`groups lie in each other deeper than ${NESTING_MAX}`)
    for (;;) {
      const tag = this.tag()
      if (tag === 0) throw malformed('a group does not end')
      if (tag % 8 !== GROUP_END) this.skip(tag, depth + 1)
      else if (Math.floor(tag / 8) === number) return
      else throw malformed('a group ends that did not begin')
    }
  }
}

function safe(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

function zigzag(value: number | bigint): number | bigint {
  if (typeof value === 'number') return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  return safe((value >> 1n) ^ -(value & 1n))
}
