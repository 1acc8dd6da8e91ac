import type { FieldPlan, Value } from '../features/plan/field-type.ts'
import { valueFromJson } from '../features/values/json-values.ts'
import { failInference } from './errors.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

export type Row = Readonly<Record<string, unknown>>

const SHOWN_CHARACTERS_MAX = 60

/**
 * A row's values in the order of `fields`. Values are not coerced between types. An entity key may be null: the features of its views read MISSING, as in
 * a spine. TM_UNKNOWN_FIELD, and `code` for a field that is absent or has a wrong type.
 */
export function parseRow(
  fields: readonly FieldPlan[],
  row: Row,
  number: number,
  code: 'TM_ENTITY_KEY' | 'TM_REQUEST_FIELD',
): Value[] {
  const values: Value[] = []
  let found = 0
  for (const field of fields) {
    const given = Object.hasOwn(row, field.name)
    if (given) found++
    const raw = given ? row[field.name] : undefined
    const value = raw === null && code === 'TM_ENTITY_KEY' ? null : valueFromJson(field, raw)
    if (value === undefined) throw wrongField(field, raw, number, code)
    values.push(value)
  }
  if (Object.keys(row).length > found) throw unknownField(fields, row, number)
  return values
}

function wrongField(field: FieldPlan, raw: unknown, row: number, code: 'TM_ENTITY_KEY' | 'TM_REQUEST_FIELD'): Error {
  return failInference(code, `row ${row}: ${field.name} should be ${expected(field)}, found ${describe(raw)}`, {
    details: { row, field: field.name },
  })
}

function unknownField(fields: readonly FieldPlan[], row: Row, number: number): Error {
  const known = fields.map(({ name }) => name)
  const field = Object.keys(row).find((name) => !known.includes(name)) ?? ''
  return failInference(
    'TM_UNKNOWN_FIELD',
    `row ${number} has the unknown field ${shorten(JSON.stringify(field))}; expected ${known.join(', ') || 'none'}${didYouMean(field, known)}`,
    { details: { row: number, field: shorten(field) } },
  )
}

const EXPECTED: Readonly<Partial<Record<FieldPlan['type']['kind'], string>>> = {
  timestamp: 'a timestamp (epoch milliseconds)',
  int64: 'int64 (a JSON number with all its digits)',
  bytes: 'bytes (base64)',
}

function expected({ type }: FieldPlan): string {
  if (type.kind === 'enum') return `one of ${type.values.map((value) => JSON.stringify(value)).join(', ')}`
  if (type.kind === 'vector') return `a list of ${type.length} numbers`
  return EXPECTED[type.kind] ?? type.kind
}

/** A value in a few characters, whatever a caller sent. */
function describe(raw: unknown): string {
  if (raw === undefined) return 'nothing'
  if (Array.isArray(raw)) return `a list of ${raw.length}`
  if (raw === null || typeof raw === 'number' || typeof raw === 'bigint' || typeof raw === 'boolean')
    return shorten(String(raw))
  return typeof raw === 'string' ? shorten(JSON.stringify(raw)) : 'an object'
}

function shorten(text: string): string {
  return text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`
}
