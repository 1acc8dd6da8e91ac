import { COLUMN_STORAGE } from '../values/column.ts'
import type { Column } from '../values/column.ts'
import type { FieldType, Value } from '../plan/field-type.ts'

const INT32_MIN = -2147483648
const INT32_MAX = 2147483647
const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
/** The greatest |epoch ms| of an ECMAScript date. */
const TIMESTAMP_MAX = 8.64e15

/** What a user function returned, as a value of `type`; undefined where the type is wrong or a number is not finite. null stays null, −0 becomes 0. */
export function coerceResult(type: FieldType, result: unknown): Value | undefined {
  if (result === null) return null
  switch (type.kind) {
    case 'bool':
      return typeof result === 'boolean' ? result : undefined
    case 'float64':
      return typeof result === 'number' && Number.isFinite(result) ? result + 0 : undefined
    case 'float32': {
      if (typeof result !== 'number') return undefined
      const rounded = Math.fround(result) + 0
      return Number.isFinite(rounded) ? rounded : undefined
    }
    case 'int32':
      return Number.isInteger(result) && Number(result) >= INT32_MIN && Number(result) <= INT32_MAX
        ? Number(result) + 0
        : undefined
    case 'timestamp':
      return Number.isInteger(result) && Math.abs(Number(result)) <= TIMESTAMP_MAX ? Number(result) + 0 : undefined
    case 'int64':
      return typeof result === 'bigint' && result >= INT64_MIN && result <= INT64_MAX ? result : undefined
    case 'string':
      return typeof result === 'string' && result.isWellFormed() ? result : undefined
    case 'enum':
      return typeof result === 'string' && type.values.includes(result) ? result : undefined
    case 'bytes':
      return isTyped(result, 'Uint8Array') ? Uint8Array.from(result as Uint8Array) : undefined
    case 'vector':
      return coerceVector(type.length, result)
  }
}

function coerceVector(length: number, result: unknown): Float32Array | undefined {
  if (!Array.isArray(result) && !isTyped(result, 'Float32Array')) return undefined
  const items = result as readonly unknown[]
  if (items.length !== length) return undefined
  const vector = new Float32Array(length)
  for (let i = 0; i < length; i++) {
    const item = items[i]
    if (typeof item !== 'number') return undefined
    vector[i] = item
    if (!Number.isFinite(vector[i])) return undefined
    vector[i] += 0
  }
  return vector
}

/** By tag, not by instanceof: user functions run in a realm of their own, whose arrays have other constructors. */
function isTyped(value: unknown, name: string): boolean {
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === `[object ${name}]`
}

/** A column of `length` nulls' worth of room that `set` fills row by row; rows never set are null. */
export interface ColumnBuilder {
  set(row: number, value: Value): void
  finish(): Column
}

export function createColumnBuilder(type: FieldType, length: number): ColumnBuilder {
  const nulls = new Uint8Array(length).fill(1)
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number': {
      const values = new Float64Array(length)
      return builder(
        (row, value) => (values[row] = Number(value)),
        () => ({ storage: 'number', type, values, nulls }),
        nulls,
      )
    }
    case 'bool': {
      const values = new Uint8Array(length)
      return builder(
        (row, value) => (values[row] = value === true ? 1 : 0),
        () => ({ storage: 'bool', type, values, nulls }),
        nulls,
      )
    }
    case 'int64': {
      const values = new BigInt64Array(length)
      return builder(
        (row, value) => (values[row] = BigInt(value as bigint)),
        () => ({ storage: 'int64', type, values, nulls }),
        nulls,
      )
    }
    case 'string': {
      const codes = new Int32Array(length)
      const dictionary: string[] = []
      const codeOf = new Map<string, number>()
      const set = (row: number, value: Value): void => {
        const text = value as string
        let code = codeOf.get(text)
        if (code === undefined) codeOf.set(text, (code = dictionary.push(text) - 1))
        codes[row] = code
      }
      return builder(set, () => ({ storage: 'string', type, codes, dictionary, nulls }), nulls)
    }
    case 'bytes': {
      const values: Uint8Array[] = Array.from({ length }, () => EMPTY)
      return builder(
        (row, value) => (values[row] = value as Uint8Array),
        () => ({ storage: 'bytes', type, values, nulls }),
        nulls,
      )
    }
    case 'vector': {
      const vectorType = type as FieldType & { kind: 'vector' }
      const values = new Float32Array(length * vectorType.length)
      const set = (row: number, value: Value): void => values.set(value as Float32Array, row * vectorType.length)
      return builder(set, () => ({ storage: 'vector', type: vectorType, values, nulls }), nulls)
    }
  }
}

const EMPTY = new Uint8Array(0)

function builder(set: (row: number, value: Value) => unknown, finish: () => Column, nulls: Uint8Array): ColumnBuilder {
  return {
    set(row, value) {
      if (value === null) return
      nulls[row] = 0
      set(row, value)
    },
    finish,
  }
}
