/*
 * Thrift's compact protocol, as far as Parquet's footers and page headers use it, without a schema: what is read can be changed and written again with
 * every field kept. A struct is a run of fields, each: u8 (id difference << 4 | type), or u8 type and zigzag varint id where the difference is not 1–15,
 * then the value; it ends with u8 0. Booleans are types 1 and 2 without a value. A list: u8 (size << 4 | type), or u8 0xF0 | type and varint size.
 */
export const THRIFT = {
  TRUE: 1,
  FALSE: 2,
  BYTE: 3,
  I16: 4,
  I32: 5,
  I64: 6,
  DOUBLE: 7,
  BINARY: 8,
  LIST: 9,
  SET: 10,
  MAP: 11,
  STRUCT: 12,
} as const

export type ThriftValue = boolean | number | bigint | Uint8Array | ThriftList | ThriftStruct

export interface ThriftField {
  readonly type: number
  value: ThriftValue
}

/** By field id. */
export type ThriftStruct = Map<number, ThriftField>

export interface ThriftList {
  readonly type: number
  readonly items: ThriftValue[]
}

export function boolField(value: boolean): ThriftField {
  return { type: THRIFT.TRUE, value }
}

export function i32Field(value: number): ThriftField {
  return { type: THRIFT.I32, value }
}

export function i64Field(value: number | bigint): ThriftField {
  return { type: THRIFT.I64, value: BigInt(value) }
}

export function binaryField(value: Uint8Array | string): ThriftField {
  return { type: THRIFT.BINARY, value: typeof value === 'string' ? Buffer.from(value) : value }
}

export function structField(fields: readonly (readonly [number, ThriftField])[]): ThriftField {
  return { type: THRIFT.STRUCT, value: new Map(fields) }
}

export function listField(type: number, items: ThriftValue[]): ThriftField {
  return { type: THRIFT.LIST, value: { type, items } }
}

/** Reads one struct. Throws RangeError on bytes that are not one. */
export function decodeThrift(bytes: Uint8Array): ThriftStruct {
  return new ThriftReader(bytes).struct(0)
}

/** Reads the struct that begins at `at`; `end` is where it ends. */
export function decodeThriftAt(bytes: Uint8Array, at: number): { struct: ThriftStruct; end: number } {
  const reader = new ThriftReader(bytes, at)
  const struct = reader.struct(0)
  return { struct, end: reader.at }
}

class ThriftReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#at = at
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get at(): number {
    return this.#at
  }

  struct(depth: number): ThriftStruct {
    if (depth > 32) throw new RangeError('thrift structs nested beyond 32')
    const fields: ThriftStruct = new Map()
    let id = 0
    for (;;) {
      const head = this.#byte()
      if (head === 0) return fields
      const type = head & 0x0f
      id = head >>> 4 === 0 ? Number(this.#zigzag()) : id + (head >>> 4)
      const value = type === THRIFT.TRUE ? true : type === THRIFT.FALSE ? false : this.#value(type, depth)
      fields.set(id, { type: type === THRIFT.FALSE ? THRIFT.TRUE : type, value })
    }
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case THRIFT.BYTE:
        return this.#byte()
      case THRIFT.I16:
      case THRIFT.I32:
        return Number(this.#zigzag())
      case THRIFT.I64:
        return this.#zigzag()
      case THRIFT.DOUBLE:
        this.#at += 8
        return this.#view.getFloat64(this.#at - 8, true)
      case THRIFT.BINARY: {
        const length = Number(this.#varint())
        if (length > this.#bytes.length - this.#at) throw new RangeError('thrift binary beyond the end')
        this.#at += length
        return this.#bytes.subarray(this.#at - length, this.#at)
      }
      case THRIFT.LIST:
      case THRIFT.SET: {
        const head = this.#byte()
        const size = head >>> 4 === 15 ? Number(this.#varint()) : head >>> 4
        const itemType = head & 0x0f
        if (size > this.#bytes.length - this.#at) throw new RangeError('thrift list beyond the end')
        const boolean = itemType === THRIFT.TRUE || itemType === THRIFT.FALSE
        const items = Array.from({ length: size }, () =>
          boolean ? this.#byte() === 1 : this.#value(itemType, depth + 1),
        )
        return { type: itemType, items }
      }
      case THRIFT.STRUCT:
        return this.struct(depth + 1)
      default:
        throw new RangeError(`thrift type ${type}`)
    }
  }

  #byte(): number {
    if (this.#at >= this.#bytes.length) throw new RangeError('thrift struct beyond the end')
    return this.#bytes[this.#at++]
  }

  #varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
      if (shift > 63n) throw new RangeError('thrift varint beyond 64 bits')
    }
  }

  #zigzag(): bigint {
    const value = this.#varint()
    return (value >> 1n) ^ -(value & 1n)
  }
}

export function encodeThrift(fields: ThriftStruct): Uint8Array {
  const bytes: number[] = []
  writeStruct(fields, bytes)
  return Uint8Array.from(bytes)
}

function writeStruct(fields: ThriftStruct, bytes: number[]): void {
  let last = 0
  for (const [id, { type, value }] of [...fields].sort(([a], [b]) => a - b)) {
    const coded = type === THRIFT.TRUE && value === false ? THRIFT.FALSE : type
    if (id - last > 0 && id - last <= 15) bytes.push(((id - last) << 4) | coded)
    else {
      bytes.push(coded)
      writeVarint(zigzag(BigInt(id)), bytes)
    }
    last = id
    if (type !== THRIFT.TRUE) writeValue(type, value, bytes)
  }
  bytes.push(0)
}

function writeValue(type: number, value: ThriftValue, bytes: number[]): void {
  switch (type) {
    case THRIFT.BYTE:
      bytes.push(value as number)
      return
    case THRIFT.I16:
    case THRIFT.I32:
    case THRIFT.I64:
      return writeVarint(zigzag(BigInt(value as number | bigint)), bytes)
    case THRIFT.DOUBLE:
      bytes.push(...new Uint8Array(Float64Array.of(value as number).buffer))
      return
    case THRIFT.BINARY: {
      const binary = value as Uint8Array
      writeVarint(BigInt(binary.length), bytes)
      for (const byte of binary) bytes.push(byte)
      return
    }
    case THRIFT.STRUCT:
      return writeStruct(value as ThriftStruct, bytes)
    default:
      return writeList(value as ThriftList, bytes)
  }
}

function writeList({ type, items }: ThriftList, bytes: number[]): void {
  if (items.length < 15) bytes.push((items.length << 4) | type)
  else {
    bytes.push(0xf0 | type)
    writeVarint(BigInt(items.length), bytes)
  }
  for (const item of items) {
    if (type === THRIFT.TRUE || type === THRIFT.FALSE) bytes.push(item === true ? 1 : 2)
    else writeValue(type, item, bytes)
  }
}

function zigzag(value: bigint): bigint {
  return value >= 0n ? value << 1n : (-value << 1n) - 1n
}

function writeVarint(value: bigint, bytes: number[]): void {
  let rest = value
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
}
