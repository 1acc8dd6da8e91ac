import type { EntityPlan } from '../plan/source-plan.ts'
import type { FieldType, Value } from '../plan/field-type.ts'
import { invariant } from '../errors/tidemark-error.ts'
import { ByteWriter } from './byte-writer.ts'
import type { Column } from './column.ts'
import { columnValue } from './column.ts'
import { murmur2 } from './murmur2.ts'

/*
 * Entity key bytes. An entity of one string (or enum) column: the UTF-8 bytes of the value, so that a Kafka producer keyed by that string
 * lands on the same bucket. Otherwise the concatenation, in column order, of
 *
 *   string, enum, bytes   varint length, bytes (UTF-8)
 *   bool                  u8 0 | 1
 *   every other type      8 bytes: integers as big-endian two's complement with the sign bit flipped (byte order = number order),
 *                         float32 and float64 as little-endian IEEE 754 doubles
 *   vector                not allowed in keys
 */

const writer = new ByteWriter()
const utf8 = new TextEncoder()
const SHORT_TEXT = 64
const SIGN = 1n << 63n

/** Values in the order of the entity's columns. A null component has no key: throws. */
export function entityKeyBytes(values: readonly Value[]): Uint8Array {
  if (values.length === 1 && typeof values[0] === 'string') return textBytes(values[0])
  writer.reset()
  for (const value of values) writeComponent(value)
  return writer.finish()
}

/** Short ASCII is copied without a call into the engine's encoder. */
function textBytes(text: string): Uint8Array {
  const { length } = text
  if (length > SHORT_TEXT) return utf8.encode(text)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return utf8.encode(text)
    bytes[i] = code
  }
  return bytes
}

function writeComponent(value: Value): void {
  if (typeof value === 'string') return writer.string(value)
  if (typeof value === 'boolean') return writer.u8(value ? 1 : 0)
  if (typeof value === 'bigint') return writeInteger(value)
  if (typeof value === 'number') return Number.isSafeInteger(value) ? writeInteger(BigInt(value)) : writer.f64(value)
  invariant(value instanceof Uint8Array, 'an entity key has a null or composite component')
  writer.blob(value)
}

function writeInteger(value: bigint): void {
  const at = writer.reserve(8)
  writer.view.setBigUint64(at, BigInt.asUintN(64, value) ^ SIGN, false)
  writer.length = at + 8
}

/** The distinct keys of a batch, and for each row the number of its key (−1 where a component is null). */
export interface BatchKeys {
  readonly distinct: readonly Uint8Array[]
  readonly keyOf: Int32Array
}

/** `columns` are the entity's columns in its order. Key bytes are made once per distinct key, not per row. */
export function entityKeysOfBatch(entity: EntityPlan, columns: readonly Column[], length: number): BatchKeys {
  invariant(columns.length === entity.columns.length, 'one column per entity column')
  let codes = columnCodes(columns[0], length)
  for (let i = 1; i < columns.length; i++) codes = combine(codes, columnCodes(columns[i], length), length)
  const distinct: Uint8Array[] = Array.from({ length: codes.firstRow.length })
  for (let k = 0; k < distinct.length; k++) {
    const row = codes.firstRow[k]
    distinct[k] = entityKeyBytes(columns.map((column) => columnValue(column, row)))
  }
  return { distinct, keyOf: codes.codes }
}

/** The distinct entities of a batch under names that are equal where their keys are, and for each row the number of its entity (−1 where a component is null). */
export interface BatchNames {
  readonly names: readonly string[]
  readonly keyOf: Int32Array
  /** Key bytes by number. */
  readonly keyBytes: (key: number) => Uint8Array
}

/** Like `entityKeysOfBatch`; an entity of one text is named by it, so that no key bytes are made. A view's entities are always named in one way. */
export function entityNamesOfBatch(entity: EntityPlan, columns: readonly Column[], length: number): BatchNames {
  const [column] = columns
  if (columns.length === 1 && column.storage === 'string') {
    const { codes, firstRow } = columnCodes(column, length)
    const names = firstRow.map((row) => column.dictionary[column.codes[row]])
    return { names, keyOf: codes, keyBytes: (key) => textBytes(names[key]) }
  }
  const { distinct, keyOf } = entityKeysOfBatch(entity, columns, length)
  return { names: distinct.map((key) => latin1(key)), keyOf, keyBytes: (key) => distinct[key] }
}

/** The name that `entityNamesOfBatch` gives an entity of this key. */
export function entityName({ columns }: EntityPlan, key: Uint8Array): string {
  const [{ type }] = columns
  const isText = columns.length === 1 && (type.kind === 'string' || type.kind === 'enum')
  return isText ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(key) : latin1(key)
}

/** One character per byte. */
function latin1(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

interface Codes {
  readonly codes: Int32Array
  /** A row that has the code, by code. */
  readonly firstRow: number[]
}

function columnCodes(column: Column, length: number): Codes {
  const codes = new Int32Array(length)
  const firstRow: number[] = []
  const nulls = column.nulls
  if (column.storage === 'string') {
    const numberOf = new Int32Array(column.dictionary.length).fill(-1)
    for (let i = 0; i < length; i++) {
      if (nulls !== null && nulls[i] === 1) {
        codes[i] = -1
        continue
      }
      const code = column.codes[i]
      if (numberOf[code] === -1) numberOf[code] = firstRow.push(i) - 1
      codes[i] = numberOf[code]
    }
    return { codes, firstRow }
  }
  const numberOf = new Map<unknown, number>()
  for (let i = 0; i < length; i++) {
    if (nulls !== null && nulls[i] === 1) {
      codes[i] = -1
      continue
    }
    const value = column.storage === 'bytes' ? column.values[i].join() : columnValue(column, i)
    let code = numberOf.get(value)
    if (code === undefined) {
      code = firstRow.push(i) - 1
      numberOf.set(value, code)
    }
    codes[i] = code
  }
  return { codes, firstRow }
}

function combine(left: Codes, right: Codes, length: number): Codes {
  const width = right.firstRow.length
  const numberOf = new Map<number, number>()
  const codes = new Int32Array(length)
  const firstRow: number[] = []
  for (let i = 0; i < length; i++) {
    if (left.codes[i] < 0 || right.codes[i] < 0) {
      codes[i] = -1
      continue
    }
    const pair = left.codes[i] * width + right.codes[i]
    let code = numberOf.get(pair)
    if (code === undefined) {
      code = firstRow.push(i) - 1
      numberOf.set(pair, code)
    }
    codes[i] = code
  }
  return { codes, firstRow }
}

/** `(murmur2(key) & 0x7fffffff) mod buckets`. */
export function bucketOf(key: Uint8Array, buckets: number): number {
  return (murmur2(key) & 0x7fffffff) % buckets
}

/** `bucket mod partitions`; partitions divides buckets. */
export function partitionOf(bucket: number, partitions: number): number {
  return bucket % partitions
}

/** Types that may be part of an entity key. */
export function isKeyType(type: FieldType): boolean {
  return type.kind !== 'vector'
}
