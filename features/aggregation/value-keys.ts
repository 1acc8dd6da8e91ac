import type { FieldType, Value } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Column } from '../values/column.ts'
import { columnValue } from '../values/column.ts'
import { readValue, writeValue } from '../values/value-codec.ts'

/**
 * A scalar value as a key of Map and Set: bytes as a string of one character per byte, every other type as itself. Canonical key order: false,
 * true; numbers and timestamps ascending; strings by UTF-8 bytes; bytes bytewise.
 */
export type ValueKey = string | number | bigint | boolean

/** Key of a row that is not null; chosen once per column. Vectors have no key. */
export function keyReader(column: Column): (row: number) => ValueKey {
  switch (column.storage) {
    case 'number': {
      const { values } = column
      return (row) => values[row]
    }
    case 'string': {
      const { codes, dictionary } = column
      return (row) => dictionary[codes[row]]
    }
    case 'bytes': {
      const { values } = column
      return (row) => bytesToKey(values[row])
    }
    default:
      return (row) => {
        const value = columnValue(column, row)
        if (typeof value === 'boolean' || typeof value === 'bigint') return value
        throw new TypeError(`a ${column.storage} column has no keys`)
      }
  }
}

export function keyToValue(type: FieldType, key: ValueKey): Value {
  return type.kind === 'bytes' && typeof key === 'string' ? keyToBytes(key) : key
}

export function writeKey(type: FieldType, key: ValueKey, writer: ByteWriter): void {
  writeValue(type, keyToValue(type, key), writer)
}

export function readKey(type: FieldType, reader: ByteReader): ValueKey {
  const value = readValue(type, reader)
  if (value instanceof Uint8Array) return bytesToKey(value)
  if (value === null || typeof value === 'object') throw new RangeError('a null or composite key in a state')
  return value
}

/** Canonical key order. Keys of one type only. */
export function compareKeys(a: ValueKey, b: ValueKey): number {
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  return a < b ? -1 : a > b ? 1 : 0
}

/** Order of the UTF-8 bytes, which is the order of code points (not of UTF-16 code units). */
function compareStrings(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x === y) continue
    const xHigh = x >= 0xd800 && x <= 0xdfff
    const yHigh = y >= 0xd800 && y <= 0xdfff
    // Surrogates stand for code points above every other code unit.
    return xHigh === yHigh ? x - y : xHigh ? 1 : -1
  }
  return a.length - b.length
}

function bytesToKey(bytes: Uint8Array): string {
  let key = ''
  for (const byte of bytes) key += String.fromCharCode(byte)
  return key
}

function keyToBytes(key: string): Uint8Array {
  return Uint8Array.from({ length: key.length }, (_, i) => key.charCodeAt(i))
}
