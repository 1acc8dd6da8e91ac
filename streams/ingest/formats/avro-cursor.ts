import { isUtf8 } from 'node:buffer'
import { isWeightless } from '../../../stores/schemas/avro-schema.ts'
import type { AvroType } from '../../../stores/schemas/avro-schema.ts'
import { failStream } from '../../errors.ts'
import { NoValue } from '../decode-field.ts'

/*
 * Avro binary (https://avro.apache.org/docs/1.12.0/specification/#binary-encoding): int and long are zigzag varints; float and double little-endian; bytes and string a long
 * and so many bytes; a union the number of its branch, a long; arrays and maps blocks of a count, a long (negative: then the block's size in bytes), and so many items, the last
 * block of count 0; a record its fields.
 */
const NESTING_MAX = 64
/** Items that take no bytes are believed up to this. */
const WEIGHTLESS_MAX = 65_536
const LONG_BYTES_MAX = 10

export function malformed(problem: string): Error {
  return failStream('TM_EVENT_MALFORMED', `the bytes are not Avro of the schema: ${problem}`)
}

/** Reads Avro binary from a record. Whatever the bytes are it ends: no length is believed that the bytes do not cover. TM_EVENT_MALFORMED. */
export class AvroCursor {
  bytes: Buffer = Buffer.alloc(0)
  at = 0

  open(bytes: Buffer, from: number): void {
    this.bytes = bytes
    this.at = from
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  /** A number where it is a safe integer. */
  long(): number | bigint {
    const { bytes } = this
    let value = 0
    let scale = 1
    for (let i = 0; i < 7; i++) {
      if (this.at >= bytes.length) throw malformed('it is cut short')
      const byte = bytes[this.at++]
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      scale *= 128
    }
    return this.#longer(BigInt(value))
  }

  #longer(low: bigint): number | bigint {
    let value = low
    for (let i = 7; ; i++) {
      if (this.at >= this.bytes.length) throw malformed('it is cut short')
      if (i === LONG_BYTES_MAX) throw malformed('a long has more than 64 bits')
      const byte = this.bytes[this.at++]
      value |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) break
    }
    if (value >= 1n << 64n) throw malformed('a long has more than 64 bits')
    const signed = (value >> 1n) ^ -(value & 1n)
    const number = Number(signed)
    return Number.isSafeInteger(number) ? number : signed
  }

  int(): number {
    const value = this.long()
    if (typeof value === 'number' && value >= -0x80000000 && value <= 0x7fffffff) return value
    throw malformed(`an int is ${value}`)
  }

  boolean(): boolean {
    if (this.left < 1) throw malformed('it is cut short')
    const byte = this.bytes[this.at++]
    if (byte > 1) throw malformed(`a boolean is ${byte}`)
    return byte === 1
  }

  float(): number {
    return this.bytes.readFloatLE(this.#take(4))
  }

  double(): number {
    return this.bytes.readDoubleLE(this.#take(8))
  }

  /** Moves over the length of bytes or a string; returns it. */
  size(): number {
    const size = this.long()
    if (typeof size !== 'number' || size < 0 || size > this.left)
      throw malformed(`${size} bytes are announced, ${this.left} are left`)
    return size
  }

  /** The number of a branch or symbol, of `count`. */
  choice(count: number): number {
    const number = this.long()
    if (typeof number === 'number' && number >= 0 && number < count) return number
    throw malformed(`number ${number} of ${count} branches or symbols`)
  }

  /** Where so many bytes begin, which are then behind. */
  #take(size: number): number {
    if (size > this.left) throw malformed('it is cut short')
    const from = this.at
    this.at += size
    return from
  }

  slice(size: number): Buffer {
    const from = this.#take(size)
    return this.bytes.subarray(from, from + size)
  }

  text(): string | NoValue {
    const bytes = this.slice(this.size())
    return isUtf8(bytes) ? bytes.toString('utf8') : NOT_UTF8
  }

  /** What `decodeField` takes: numbers, bigints beyond what is safe, text, bytes, arrays of these; `NoValue` for what no column holds. */
  value(type: AvroType, depth: number = 0): unknown {
    switch (type.kind) {
      case 'null':
        return null
      case 'boolean':
        return this.boolean()
      case 'int':
        return this.int()
      case 'long':
        return this.long()
      case 'float':
        return this.float()
      case 'double':
        return this.double()
      case 'string':
        return this.text()
      case 'bytes':
        return this.slice(this.size())
      case 'fixed':
        return this.slice(type.size)
      case 'enum':
        return type.symbols[this.choice(type.symbols.length)]
      case 'union':
        return this.value(type.branches[this.choice(type.branches.length)], depth + 1)
      case 'array':
        return this.#array(type.items, deeper(depth))
      default:
        this.skip(type, depth)
        return OBJECT
    }
  }

  skip(type: AvroType, depth: number = 0): void {
    if (isWeightless(type)) return
    switch (type.kind) {
      case 'null':
        return
      case 'boolean':
        return void this.#take(1)
      case 'int':
      case 'long':
      case 'enum':
        return void this.long()
      case 'float':
        return void this.#take(4)
      case 'double':
        return void this.#take(8)
      case 'string':
      case 'bytes':
        return void this.#take(this.size())
      case 'fixed':
        return void this.#take(type.size)
      case 'union':
        return this.skip(type.branches[this.choice(type.branches.length)], deeper(depth))
      case 'array':
        return this.#skipBlocks(null, type.items, deeper(depth))
      case 'map':
        return this.#skipBlocks(STRING, type.values, deeper(depth))
      case 'record':
        for (const field of type.fields) this.skip(field.type, deeper(depth))
    }
  }

  #array(items: AvroType, depth: number): unknown[] {
    const values: unknown[] = []
    for (;;) {
      const count = this.#blockCount(items, values.length)
      if (count === 0) return values
      for (let i = 0; i < count; i++) values.push(this.value(items, depth))
    }
  }

  #skipBlocks(key: AvroType | null, items: AvroType, depth: number): void {
    for (let before = 0; ;) {
      const count = this.#blockCount(key ?? items, before)
      if (count === 0) return
      before += count
      for (let i = 0; i < count; i++) {
        if (key !== null) this.skip(key, depth)
        this.skip(items, depth)
      }
    }
  }

  /** How many items of a type, which take a byte at least or are few, the next block has; `before`: those of the blocks before it. */
  #blockCount(items: AvroType, before: number): number {
    const told = this.long()
    if (typeof told !== 'number') throw malformed(`a block of ${told} items`)
    if (told < 0) this.size()
    const count = Math.abs(told)
    if (count > (isWeightless(items) ? WEIGHTLESS_MAX - before : this.left))
      throw malformed(`${count} items are announced, ${this.left} bytes are left`)
    return count
  }
}

const NOT_UTF8 = new NoValue('a string that is not UTF-8')
const OBJECT = new NoValue('an object')
const STRING: AvroType = { kind: 'string', logical: null }

function deeper(depth: number): number {
  if (depth >= NESTING_MAX) throw malformed(`values lie in each other deeper than ${NESTING_MAX}`)
  return depth + 1
}
