import type { Value, ValueType } from '../plan/field-type.ts'

/** Statuses of a value, in the order in which they are decided. Codes are stored in logs: never renumber. */
export const STATUS = {
  PRESENT: 0,
  MISSING: 1,
  EXPIRED: 2,
  EMPTY_WINDOW: 3,
  INVALID: 4,
  DEFAULTED: 5,
} as const

export type StatusName = keyof typeof STATUS
export type StatusCode = (typeof STATUS)[StatusName]

export const STATUS_NAMES: readonly StatusName[] = [
  'PRESENT',
  'MISSING',
  'EXPIRED',
  'EMPTY_WINDOW',
  'INVALID',
  'DEFAULTED',
]

/** Values of one feature for many rows. Numeric kinds and counts live in `numbers`, int64 in `bigints`, the rest in `objects`; nulls in `nulls`. */
export interface ResultColumn {
  readonly type: ValueType
  readonly storage: 'numbers' | 'bigints' | 'objects'
  /** float64, float32, int32, timestamp, count, bool (0/1). Empty for other storages. */
  readonly numbers: Float64Array
  readonly bigints: BigInt64Array
  /** string, enum, bytes, vector, list, map. */
  readonly objects: Value[]
  readonly nulls: Uint8Array
  readonly statuses: Uint8Array
}

const NUMBER_KINDS = new Set(['float64', 'float32', 'int32', 'timestamp', 'count', 'bool'])

export function createResultColumn(type: ValueType, rows: number): ResultColumn {
  return createColumn(type, rows, (bytes) => new ArrayBuffer(bytes))
}

/** In memory that threads share; `objects` are not. */
export function createSharedColumn(type: ValueType, rows: number): ResultColumn {
  return createColumn(type, rows, (bytes) => new SharedArrayBuffer(bytes))
}

function createColumn(type: ValueType, rows: number, allocate: (bytes: number) => ArrayBufferLike): ResultColumn {
  const storage = NUMBER_KINDS.has(type.kind) ? 'numbers' : type.kind === 'int64' ? 'bigints' : 'objects'
  return {
    type,
    storage,
    numbers: new Float64Array(allocate(storage === 'numbers' ? 8 * rows : 0)),
    bigints: new BigInt64Array(allocate(storage === 'bigints' ? 8 * rows : 0)),
    objects: storage === 'objects' ? Array.from<Value>({ length: rows }).fill(null) : [],
    nulls: new Uint8Array(allocate(rows)),
    statuses: new Uint8Array(allocate(rows)),
  }
}

/** The JavaScript value at `row` (see `ValueType`). */
export function resultValue(column: ResultColumn, row: number): Value {
  if (column.nulls[row] === 1) return null
  if (column.storage === 'numbers') return column.type.kind === 'bool' ? column.numbers[row] === 1 : column.numbers[row]
  return column.storage === 'bigints' ? column.bigints[row] : column.objects[row]
}

export function setNull(column: ResultColumn, row: number, status: StatusCode): void {
  column.nulls[row] = 1
  column.statuses[row] = status
}
