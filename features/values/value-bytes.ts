import { STATUS, STATUS_NAMES } from '../aggregation/result-column.ts'
import type { StatusName } from '../aggregation/result-column.ts'
import type { Value } from '../plan/field-type.ts'
import type { ByteReader } from './byte-reader.ts'
import { ByteWriter } from './byte-writer.ts'

/*
 * Canonical bytes of one value of any type, for comparing bits:
 *
 *   u8 0 null · 1 false · 2 true · 3 number: f64 · 4 bigint: i64 · 5 string: varint length, UTF-8 · 6 bytes: varint length, bytes ·
 *   7 vector: varint length, f32 each · 8 list: varint length, values · 9 map: varint size, key and value each, in map order
 */
export function encodeValue(value: Value, writer: ByteWriter): void {
  if (value === null) writer.u8(0)
  else if (typeof value === 'boolean') writer.u8(value ? 2 : 1)
  else if (typeof value === 'number') {
    writer.u8(3)
    writer.f64(value + 0)
  } else if (typeof value === 'bigint') {
    writer.u8(4)
    writer.i64(value)
  } else if (typeof value === 'string') {
    writer.u8(5)
    writer.string(value)
  } else encodeComposite(value, writer)
}

function encodeComposite(value: Exclude<Value, null | boolean | number | bigint | string>, writer: ByteWriter): void {
  if (value instanceof Uint8Array) {
    writer.u8(6)
    writer.blob(value)
  } else if (value instanceof Float32Array) {
    writer.u8(7)
    writer.varint(value.length)
    for (const item of value) writer.f32(item + 0)
  } else if (Array.isArray(value)) {
    writer.u8(8)
    writer.varint(value.length)
    for (const item of value) encodeValue(item as Value, writer)
  } else {
    const map = value as ReadonlyMap<Value, Value>
    writer.u8(9)
    writer.varint(map.size)
    for (const [key, item] of map) {
      encodeValue(key, writer)
      encodeValue(item, writer)
    }
  }
}

const writer = new ByteWriter()

/** Canonical bytes of a vector: status code and value of each cell, in order. Two vectors are the same bits iff these bytes are equal. */
export function encodeRow(values: readonly Value[], statuses: readonly StatusName[]): Uint8Array {
  writer.reset()
  for (let i = 0; i < values.length; i++) {
    writer.u8(STATUS[statuses[i]])
    encodeValue(values[i], writer)
  }
  return writer.finish()
}

/** Canonical bytes of one cell of a vector. */
export function encodeCell(value: Value, status: StatusName): Uint8Array {
  return encodeRow([value], [status])
}

/** What `encodeValue` wrote. Throws RangeError on other bytes. */
export function decodeValue(reader: ByteReader): Value {
  const tag = reader.u8()
  switch (tag) {
    case 0:
      return null
    case 1:
    case 2:
      return tag === 2
    case 3:
      return reader.f64()
    case 4:
      return reader.i64()
    case 5:
      return reader.string()
    case 6:
      return reader.blob().slice()
    case 7:
      return Float32Array.from({ length: checkedCount(reader, 4) }, () => reader.f32())
    case 8:
      return Array.from({ length: checkedCount(reader, 1) }, () => decodeValue(reader))
    case 9:
      return new Map(Array.from({ length: checkedCount(reader, 2) }, () => [decodeValue(reader), decodeValue(reader)]))
    default:
      throw new RangeError(`value tag ${tag}`)
  }
}

function checkedCount(reader: ByteReader, itemBytes: number): number {
  const count = reader.varint()
  if (count * itemBytes > reader.remaining) throw new RangeError(`${count} items in ${reader.remaining} bytes`)
  return count
}

/** What `encodeCell` wrote. Throws RangeError on other bytes. */
export function decodeCell(reader: ByteReader): { readonly value: Value; readonly status: StatusName } {
  const code = reader.u8()
  const status = STATUS_NAMES[code]
  if (status === undefined) throw new RangeError(`status code ${code}`)
  return { status, value: decodeValue(reader) }
}
