import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { Column, NumberColumn } from '../../features/values/column.ts'
import { unfitRows } from '../ingest/decode-events.ts'
import type { RowRules } from '../ingest/decode-events.ts'

export interface Refusal {
  readonly code: string
  readonly reason: string
}

/** The greatest |epoch ms| of an ECMAScript date. */
const TIMESTAMP_MAX = 8.64e15

/** A column as the schema has it: where a field says `nonFinite: 'null'`, NaN and infinities are nulls. */
export function withNullsForNonFinite(field: FieldPlan, column: Column): Column {
  if (field.nonFinite !== 'null' || column.storage !== 'number' || column.values.every(Number.isFinite)) return column
  const nulls = Uint8Array.from(column.values, (value, row) =>
    Number.isFinite(value) ? (column.nulls?.[row] ?? 0) : 1,
  )
  return { ...column, nulls, values: column.values.map((value) => (Number.isFinite(value) ? value : 0)) }
}

export interface ImportedRows extends RowRules {
  readonly arrivalColumn: string
  readonly columns: readonly Column[]
  readonly rows: number
}

/** Rows that cannot be taken in, with the cause. `now`: of the log that they would be appended to. */
export function importRefusals(
  { arrivalColumn, columns, rows, ...rules }: ImportedRows,
  now: number,
): Map<number, Refusal> {
  const { source } = rules
  const refused = new Map<number, Refusal>()
  source.fields.forEach((field, f) => checkColumn(field, columns[f], rows, refused))
  for (const [row, why] of unfitRows(rules, columns, rows)) refused.set(row, why)
  const arrival = columns[source.fields.findIndex(({ name }) => name === arrivalColumn)] as NumberColumn
  const future = `${arrivalColumn} is later than now: a fact cannot have been known after its import`
  for (let row = 0; row < rows; row++) {
    if (refused.has(row)) continue
    if (arrival.nulls !== null && arrival.nulls[row] === 1)
      refused.set(row, { code: 'TM_EVENT_NULL', reason: `${arrivalColumn}, the arrival, is null` })
    else if (arrival.values[row] > now) refused.set(row, { code: 'TM_ARRIVAL_FUTURE', reason: future })
  }
  return refused
}

function checkColumn(field: FieldPlan, column: Column, rows: number, refused: Map<number, Refusal>): void {
  const { name, nullable } = field
  const missing = { code: 'TM_EVENT_NULL', reason: `field ${name} is required, found null` }
  const wrong = wrongValue(field, column)
  for (let row = 0; row < rows; row++) {
    if (column.nulls !== null && column.nulls[row] === 1) {
      if (!nullable) refused.set(row, missing)
    } else if (wrong?.is(row) === true) refused.set(row, wrong.refusal)
  }
}

/** What a file's column can hold that its field cannot. */
function wrongValue(
  { name, type }: FieldPlan,
  column: Column,
): { readonly is: (row: number) => boolean; readonly refusal: Refusal } | null {
  if (type.kind === 'enum' && column.storage === 'string') {
    const { codes, dictionary } = column
    const isValue = dictionary.map((text) => type.values.includes(text))
    const reason = `field ${name} should be one of ${type.values.join(', ')}`
    return { is: (row) => !isValue[codes[row]], refusal: { code: 'TM_EVENT_TYPE', reason } }
  }
  if (column.storage === 'vector') {
    const { values } = column
    const { length } = column.type
    const isWrong = (row: number): boolean => !values.subarray(row * length, (row + 1) * length).every(Number.isFinite)
    return { is: isWrong, refusal: { code: 'TM_EVENT_TYPE', reason: `field ${name} has a number that is not finite` } }
  }
  if (column.storage !== 'number') return null
  const { values } = column
  if (type.kind === 'timestamp') {
    const reason = `field ${name} is beyond the years that a time can have`
    return { is: (row) => !(Math.abs(values[row]) <= TIMESTAMP_MAX), refusal: { code: 'TM_EVENT_TIME', reason } }
  }
  const reason = `field ${name} is not finite`
  return { is: (row) => !Number.isFinite(values[row]), refusal: { code: 'TM_EVENT_NON_FINITE', reason } }
}
