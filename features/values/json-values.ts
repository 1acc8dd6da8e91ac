import type { FieldPlan, Value } from '../plan/field-type.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { coerceResult } from '../kernel/function-results.ts'

/** Exact JSON of a value: doubles round-trip, a bigint is a number with all its digits, bytes are base64, maps are objects. */
export function valueToJson(value: Value): string {
  if (value === null) return 'null'
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return JSON.stringify(encodeBase64(value))
  if (value instanceof Float32Array) return `[${Array.from(value, (item) => JSON.stringify(item)).join(',')}]`
  if (Array.isArray(value)) return `[${value.map((item) => valueToJson(item as Value)).join(',')}]`
  const entries = [...(value as ReadonlyMap<Value, Value>)].map(
    ([key, item]) => `${JSON.stringify(String(key as string))}:${valueToJson(item)}`,
  )
  return `{${entries.join(',')}}`
}

/** A field's value from parsed JSON, without coercion between types; undefined where it does not fit. */
export function valueFromJson(field: FieldPlan, raw: unknown): Value | undefined {
  if (raw === null || raw === undefined) return field.nullable ? null : undefined
  const { kind } = field.type
  if (kind === 'int64' && typeof raw === 'number') return Number.isSafeInteger(raw) ? BigInt(raw) : undefined
  if (kind === 'bytes' && typeof raw === 'string') return decodeBase64(raw)
  return coerceResult(field.type, raw)
}
