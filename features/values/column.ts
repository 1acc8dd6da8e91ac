import type { FieldType } from '../plan/field-type.ts'

/**
 * One field of many events, column-wise. `nulls[i] === 1` marks a null (the value slot then holds the type's zero); `nulls` is null when no
 * value is. Numbers: −0 is stored as 0, NaN and ±Infinity never occur. Strings and enums are dictionary-coded; dictionary order is free.
 */
export type Column = BoolColumn | NumberColumn | Int64Column | StringColumn | BytesColumn | VectorColumn

export interface BoolColumn {
  readonly storage: 'bool'
  readonly type: FieldType
  readonly values: Uint8Array
  readonly nulls: Uint8Array | null
}

/** int32, float32, float64, timestamp (epoch ms). */
export interface NumberColumn {
  readonly storage: 'number'
  readonly type: FieldType
  readonly values: Float64Array
  readonly nulls: Uint8Array | null
}

export interface Int64Column {
  readonly storage: 'int64'
  readonly type: FieldType
  readonly values: BigInt64Array
  readonly nulls: Uint8Array | null
}

/** string, enum. */
export interface StringColumn {
  readonly storage: 'string'
  readonly type: FieldType
  readonly codes: Int32Array
  readonly dictionary: readonly string[]
  readonly nulls: Uint8Array | null
}

export interface BytesColumn {
  readonly storage: 'bytes'
  readonly type: FieldType
  readonly values: readonly Uint8Array[]
  readonly nulls: Uint8Array | null
}

/** `length` of the type floats per row, row-major. */
export interface VectorColumn {
  readonly storage: 'vector'
  readonly type: FieldType & { kind: 'vector' }
  readonly values: Float32Array
  readonly nulls: Uint8Array | null
}

export type ColumnStorage = Column['storage']

/** How each field type is stored in a column. */
export const COLUMN_STORAGE: Readonly<Record<FieldType['kind'], ColumnStorage>> = {
  bool: 'bool',
  int32: 'number',
  int64: 'int64',
  float32: 'number',
  float64: 'number',
  string: 'string',
  bytes: 'bytes',
  timestamp: 'number',
  enum: 'string',
  vector: 'vector',
}

/** The JavaScript value at `row` (see `ValueType`). Vectors and bytes are views: do not change them. */
export function columnValue(
  column: Column,
  row: number,
): null | boolean | number | bigint | string | Uint8Array | Float32Array {
  if (column.nulls !== null && column.nulls[row] === 1) return null
  switch (column.storage) {
    case 'bool':
      return column.values[row] === 1
    case 'number':
    case 'int64':
      return column.values[row]
    case 'string':
      return column.dictionary[column.codes[row]]
    case 'bytes':
      return column.values[row]
    case 'vector':
      return column.values.subarray(row * column.type.length, (row + 1) * column.type.length)
  }
}
