import { BIGINT, BLOB, blobValue, BOOLEAN, DOUBLE, FLOAT, INTEGER, LIST, listValue, VARCHAR } from '@duckdb/node-api'
import type { DuckDBType, DuckDBValue, DuckDBVector } from '@duckdb/node-api'
import type { FieldPlan, FieldType } from '../../features/plan/field-type.ts'
import type { Column } from '../../features/values/column.ts'
import { COLUMN_STORAGE, columnValue } from '../../features/values/column.ts'
import type { FixedWidthItems } from './tables.ts'

/** The DuckDB type in which a field is stored. */
export function duckType(type: FieldType): DuckDBType {
  switch (type.kind) {
    case 'bool':
      return BOOLEAN
    case 'int32':
      return INTEGER
    case 'int64':
    case 'timestamp':
      return BIGINT
    case 'float32':
      return FLOAT
    case 'float64':
      return DOUBLE
    case 'string':
    case 'enum':
      return VARCHAR
    case 'bytes':
      return BLOB
    case 'vector':
      return LIST(FLOAT)
  }
}

/** Column values as DuckDB takes them. */
export function duckValues(column: Column, from: number, to: number): DuckDBValue[] {
  const values: DuckDBValue[] = []
  const big = column.type.kind === 'timestamp'
  for (let row = from; row < to; row++) {
    const value = columnValue(column, row)
    if (value === null) values.push(null)
    else if (value instanceof Float32Array) values.push(listValue([...value]))
    else if (value instanceof Uint8Array) values.push(blobValue(value))
    else values.push(big ? BigInt(value) : value)
  }
  return values
}

/** The memory of a vector of fixed width. */
export function fixedWidth(vector: DuckDBVector): FixedWidthItems {
  const items: unknown = 'items' in vector ? vector.items : null
  if (
    items instanceof Float64Array ||
    items instanceof BigInt64Array ||
    items instanceof Int32Array ||
    items instanceof Uint8Array
  )
    return items
  throw new TypeError('a column of this type has no fixed width here')
}

/** A vector's validity words, or null where every row is valid. */
export function validityOf(vector: DuckDBVector): BigUint64Array | null {
  return 'validity' in vector ? (vector.validity as { data: BigUint64Array | null }).data : null
}

/** Collects vectors of one result column into one Column. Numbers arrive as DOUBLE, int64 as BIGINT, strings as VARCHAR, bool as BOOLEAN. */
export class ColumnCollector {
  readonly #field: FieldPlan
  #rows = 0
  #capacity = 0
  #numbers = new Float64Array(0)
  #bigints = new BigInt64Array(0)
  #codes = new Int32Array(0)
  #nulls = new Uint8Array(0)
  #hasNull = false
  readonly #dictionary: string[] = []
  readonly #codeOf = new Map<string, number>()
  readonly #objects: (Uint8Array | Float32Array)[] = []

  constructor(field: FieldPlan) {
    this.#field = field
  }

  add(vector: DuckDBVector, rows: number): void {
    this.#grow(rows)
    const at = this.#rows
    this.#rows += rows
    const items: unknown = 'items' in vector ? vector.items : null
    const allValid = validityOf(vector) === null
    const storage = COLUMN_STORAGE[this.#field.type.kind]
    if (allValid && storage === 'number' && items instanceof Float64Array) {
      this.#numbers.set(items.subarray(0, rows), at)
      return
    }
    if (allValid && storage === 'int64' && items instanceof BigInt64Array) {
      this.#bigints.set(items.subarray(0, rows), at)
      return
    }
    for (let i = 0; i < rows; i++) this.#set(at + i, vector.getItem(i))
  }

  finish(): Column {
    const rows = this.#rows
    const nulls = this.#hasNull ? this.#nulls.subarray(0, rows) : null
    const { type } = this.#field
    switch (COLUMN_STORAGE[type.kind]) {
      case 'number':
        return { storage: 'number', type, values: this.#numbers.subarray(0, rows).map((value) => value + 0), nulls }
      case 'bool':
        return { storage: 'bool', type, values: Uint8Array.from(this.#numbers.subarray(0, rows)), nulls }
      case 'int64':
        return { storage: 'int64', type, values: this.#bigints.subarray(0, rows), nulls }
      case 'string':
        return { storage: 'string', type, codes: this.#codes.subarray(0, rows), dictionary: this.#dictionary, nulls }
      case 'bytes':
        return { storage: 'bytes', type, values: this.#objects as Uint8Array[], nulls }
      case 'vector': {
        const vectorType = type as FieldType & { kind: 'vector' }
        const values = new Float32Array(rows * vectorType.length)
        this.#objects.forEach((vector, row) => values.set(vector, row * vectorType.length))
        return { storage: 'vector', type: vectorType, values, nulls }
      }
    }
  }

  #set(row: number, value: unknown): void {
    const storage = COLUMN_STORAGE[this.#field.type.kind]
    if (value === null || value === undefined) {
      this.#nulls[row] = 1
      this.#hasNull = true
      if (storage === 'bytes' || storage === 'vector')
        this.#objects.push(storage === 'bytes' ? new Uint8Array(0) : new Float32Array(0))
    } else if (storage === 'number' || storage === 'bool') this.#numbers[row] = Number(value)
    else if (storage === 'int64') this.#bigints[row] = BigInt(value as bigint | number)
    else if (storage === 'string') this.#codes[row] = this.#code(value as string)
    else if (storage === 'bytes') this.#objects.push((value as { bytes: Uint8Array }).bytes.slice())
    else this.#objects.push(Float32Array.from((value as { items: number[] }).items))
  }

  #code(text: string): number {
    let code = this.#codeOf.get(text)
    if (code === undefined) {
      code = this.#dictionary.push(text) - 1
      this.#codeOf.set(text, code)
    }
    return code
  }

  #grow(rows: number): void {
    const needed = this.#rows + rows
    if (needed <= this.#capacity) return
    this.#capacity = Math.max(needed, this.#capacity * 2)
    const storage = COLUMN_STORAGE[this.#field.type.kind]
    const grow = <A extends Float64Array | BigInt64Array | Int32Array | Uint8Array>(old: A, grown: A): A => {
      grown.set(old as never)
      return grown
    }
    if (storage === 'number' || storage === 'bool')
      this.#numbers = grow(this.#numbers, new Float64Array(this.#capacity))
    if (storage === 'int64') this.#bigints = grow(this.#bigints, new BigInt64Array(this.#capacity))
    if (storage === 'string') this.#codes = grow(this.#codes, new Int32Array(this.#capacity))
    this.#nulls = grow(this.#nulls, new Uint8Array(this.#capacity))
  }
}
