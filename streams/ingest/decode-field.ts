import { coerceResult } from '../../features/kernel/function-results.ts'
import type { FieldPlan, Value } from '../../features/plan/field-type.ts'
import { failStream } from '../errors.ts'

const ISO = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}))$/

/** Characters of a text that a reason repeats: enough to see what came; the whole of it is in the dead letter. */
const QUOTED_LENGTH = 40

/** Stands for a value of a record's format that no field can hold. */
export class NoValue {
  readonly what: string
  readonly advice: string

  /** `what`, as in 'a decimal'; `advice`: what to do. */
  constructor(what: string, advice: string = '') {
    this.what = what
    this.advice = advice === '' ? '' : `; ${advice}`
  }
}

/** A field's value from parsed JSON, or what other formats give in its place: bytes as they are, integers beyond ±2^53 as bigint, `NoValue`. TM_EVENT_NULL, TM_EVENT_NON_FINITE, TM_EVENT_TIME, TM_EVENT_TYPE. */
export function decodeField(field: FieldPlan, raw: unknown): Value {
  // A function is not from JSON: it is what objects inherit under the name `constructor`.
  if (raw === null || raw === undefined || typeof raw === 'function') {
    if (field.nullable) return null
    throw failStream('TM_EVENT_NULL', `field ${field.name} is required, found ${raw === null ? 'null' : 'nothing'}`)
  }
  const value = coerceResult(field.type, normalise(field, raw))
  if (value !== undefined && value !== null) return value
  if (isNonFinite(field, raw)) {
    if (field.nonFinite === 'null') return null
    throw failStream('TM_EVENT_NON_FINITE', `field ${field.name} is not finite`)
  }
  if (raw instanceof NoValue)
    throw failStream(
      field.type.kind === 'timestamp' ? 'TM_EVENT_TIME' : 'TM_EVENT_TYPE',
      `field ${field.name} should be ${expected(field)}, found ${raw.what}${raw.advice}`,
    )
  if (field.type.kind === 'timestamp')
    throw failStream(
      'TM_EVENT_TIME',
      `field ${field.name} should be ISO-8601 with a time zone or epoch milliseconds, found ${describe(raw)}`,
    )
  throw failStream('TM_EVENT_TYPE', `field ${field.name} should be ${expected(field)}, found ${describe(raw)}`)
}

function expected({ type }: FieldPlan): string {
  if (type.kind === 'enum') return `one of ${type.values.join(', ')}`
  if (type.kind === 'vector') return `an array of ${type.length} numbers`
  return type.kind === 'bytes' ? 'bytes (base64 text in JSON)' : type.kind
}

function describe(raw: unknown): string {
  if (typeof raw === 'number' || typeof raw === 'bigint' || typeof raw === 'boolean') return String(raw)
  if (typeof raw === 'string')
    return raw.isWellFormed() ? `the string ${quote(raw)}` : 'a string that is not well-formed Unicode'
  if (ArrayBuffer.isView(raw)) return 'bytes'
  return Array.isArray(raw) ? `an array of ${raw.length}` : 'an object'
}

function quote(text: string): string {
  return JSON.stringify(text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH).toWellFormed()}…` : text)
}

function parseTime(text: string): number | undefined {
  if (!ISO.test(text)) return undefined
  // Date.parse makes the 1st of March of the 30th of February.
  const day = Number(text.slice(8, 10))
  if (day > 28 && day > new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0)).getUTCDate())
    return undefined
  return Date.parse(text)
}

/** 1e999, and the text that NaN and the infinities have in JSON of other systems. */
function isNonFinite({ type }: FieldPlan, raw: unknown): boolean {
  if (type.kind !== 'float32' && type.kind !== 'float64') return false
  return typeof raw === 'number' || raw === 'NaN' || raw === 'Infinity' || raw === '-Infinity'
}

function normalise(field: FieldPlan, raw: unknown): unknown {
  const { kind } = field.type
  if (kind === 'timestamp' && typeof raw === 'string') return parseTime(raw)
  // Digits were kept for the int64 fields; in any other field they are the number that JSON says.
  if (kind !== 'int64' && typeof raw === 'bigint') return Number(raw)
  if (kind === 'int64' && typeof raw === 'number') return Number.isSafeInteger(raw) ? BigInt(raw) : undefined
  if (kind === 'bytes' && typeof raw === 'string')
    return /^[A-Za-z0-9+/]*={0,2}$/.test(raw) ? new Uint8Array(Buffer.from(raw, 'base64')) : undefined
  return raw
}
