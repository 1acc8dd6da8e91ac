import type { FieldPlan, Value } from '../plan/field-type.ts'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { coerceResult } from '../kernel/function-results.ts'

/** Exact JSON of a value: doubles round-trip, a bigint is a number with all its digits, bytes are base64, maps are objects. */
export function valueToJson(value: Value): string {
  if (value === null) return 'null'
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return JSON.stringify(encodeBase64(value))
  if (value instanceof Float32Array) return `[${Array.from(value, (item) => JSON.stringify(item)).join(',')}]`
  if (Array.isArray(value)) return `[${value.map((item) => valueToJson(item as Value)).join(',')}]`
  const entries = [...(value as ReadonlyMap<Value, Value>)].map(
    ([key, item]) =>
      `${JSON.stringify(key instanceof Uint8Array ? encodeBase64(key) : String(key as string))}:${valueToJson(item)}`,
  )
  return `{${entries.join(',')}}`
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * JSON text whose integers beyond ±2^53 keep all their digits, as bigint; every other number is the nearest double. Throws SyntaxError. Of a name that an
 * object repeats the last value counts.
 */
export function parseExactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as unknown
  return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown) as unknown
}

function keepDigits(_key: string, value: unknown, context: { readonly source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}

/** A field's value from parsed JSON, without coercion between types; undefined where it does not fit. */
export function valueFromJson(field: FieldPlan, raw: unknown): Value | undefined {
  if (raw === null || raw === undefined) return field.nullable ? null : undefined
  const { kind } = field.type
  if (kind === 'int64' && typeof raw === 'number') return Number.isSafeInteger(raw) ? BigInt(raw) : undefined
  if (typeof raw === 'bigint' && (kind === 'float64' || kind === 'float32'))
    return coerceResult(field.type, Number(raw))
  if (kind === 'bytes' && typeof raw === 'string') return BASE64.test(raw) ? decodeBase64(raw) : undefined
  return coerceResult(field.type, raw)
}
