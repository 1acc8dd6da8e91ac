import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { coerceResult, createColumnBuilder } from '../features/kernel/function-results.ts'
import type { FieldPlan, Value } from '../features/plan/field-type.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { Column } from '../features/values/column.ts'
import { failStream } from './errors.ts'

export interface RefusedEvent {
  /** Row in the input. */
  readonly row: number
  readonly code: string
  readonly reason: string
}

export interface DecodedEvents {
  /** Rows of the input that were accepted, ascending. */
  readonly rows: number[]
  readonly columns: readonly Column[]
  readonly eventTime: Float64Array
  readonly refused: readonly RefusedEvent[]
}

const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}))$/

/** Decodes JSON events against a source's schema. Each bad event is refused on its own, with a code. */
export function decodeJson(source: SourcePlan, payloads: readonly string[]): DecodedEvents {
  const exactIntegers = source.fields.some(({ type }) => type.kind === 'int64')
  const eventTimeField = source.fields.findIndex(({ name }) => name === source.eventTime)
  const accepted: Value[][] = []
  const rows: number[] = []
  const refused: RefusedEvent[] = []
  payloads.forEach((payload, row) => {
    try {
      accepted.push(decodeEvent(source, payload, exactIntegers))
      rows.push(row)
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      refused.push({ row, code: error.code, reason: error.message })
    }
  })
  const columns = source.fields.map((field, f) => {
    const builder = createColumnBuilder(field.type, rows.length)
    accepted.forEach((values, i) => builder.set(i, values[f]))
    return withoutEmptyNulls(builder.finish())
  })
  return { rows, columns, eventTime: Float64Array.from(accepted, (values) => Number(values[eventTimeField])), refused }
}

function withoutEmptyNulls(column: Column): Column {
  return column.nulls !== null && column.nulls.includes(1) ? column : { ...column, nulls: null }
}

function decodeEvent(source: SourcePlan, payload: string, exactIntegers: boolean): Value[] {
  const event = parseObject(payload, exactIntegers)
  return source.fields.map((field) => decodeField(field, event[field.name]))
}

function parseObject(payload: string, exactIntegers: boolean): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = exactIntegers
      ? (JSON.parse(payload, keepDigits as (key: string, value: unknown) => unknown) as unknown)
      : (JSON.parse(payload) as unknown)
  } catch (error) {
    throw failStream('TM_EVENT_NOT_JSON', `not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw failStream('TM_EVENT_NOT_JSON', 'expected a JSON object')
  return parsed as Readonly<Record<string, unknown>>
}

/** Integers beyond ±2^53 keep all their digits, as bigint. */
function keepDigits(_key: string, value: unknown, context: { readonly source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}

function decodeField(field: FieldPlan, raw: unknown): Value {
  if (raw === null || raw === undefined) {
    if (field.nullable) return null
    throw failStream('TM_EVENT_NULL', `field ${field.name} is required, found ${raw === null ? 'null' : 'nothing'}`)
  }
  const value = coerceResult(field.type, normalise(field, raw))
  if (value !== undefined && value !== null) return value
  if (isNonFinite(field, raw)) {
    if (field.nonFinite === 'null') return null
    throw failStream('TM_EVENT_NON_FINITE', `field ${field.name} is not finite`)
  }
  if (field.type.kind === 'timestamp')
    throw failStream('TM_EVENT_TIME', `field ${field.name} should be ISO-8601 with a time zone or epoch milliseconds`)
  throw failStream(
    'TM_EVENT_TYPE',
    `field ${field.name} should be ${field.type.kind}, found ${Array.isArray(raw) ? 'an array' : typeof raw}`,
  )
}

/** 1e999, and the text that NaN and the infinities have in JSON of other systems. */
function isNonFinite({ type }: FieldPlan, raw: unknown): boolean {
  if (type.kind !== 'float32' && type.kind !== 'float64') return false
  return typeof raw === 'number' || raw === 'NaN' || raw === 'Infinity' || raw === '-Infinity'
}

function normalise(field: FieldPlan, raw: unknown): unknown {
  const { kind } = field.type
  if (kind === 'timestamp' && typeof raw === 'string') return ISO.test(raw) ? Date.parse(raw) : undefined
  // Digits were kept for the int64 fields; in any other field they are the number that JSON says.
  if (kind !== 'int64' && typeof raw === 'bigint') return Number(raw)
  if (kind === 'int64' && typeof raw === 'number') return Number.isSafeInteger(raw) ? BigInt(raw) : undefined
  if (kind === 'bytes' && typeof raw === 'string')
    return /^[A-Za-z0-9+/]*={0,2}$/.test(raw) ? new Uint8Array(Buffer.from(raw, 'base64')) : undefined
  return raw
}
