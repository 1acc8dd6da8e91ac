import type { FieldPlan } from '../features/plan/field-type.ts'
import { columnValue } from '../features/values/column.ts'
import { extensionOf, typedSource } from '../stores/tables/file-conversion.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import type { FileColumn, Tables } from '../stores/tables/tables.ts'
import type { OutputFormat } from './output-format.ts'

export interface SpineColumns {
  readonly path: string
  /** As they look: what values of a CSV column all look like is its type. */
  readonly present: readonly FileColumn[]
  /** Names of columns that the service says are text. */
  readonly text: ReadonlySet<string>
  readonly format: OutputFormat
}

/** Numbers that would come out as others: codes with leading zeros, and integers that no int64 and no double holds. */
const LEADING_ZERO = '[+-]?0[0-9].*'
const LONG_INTEGER = '[+-]?[0-9]{16,}'

/**
 * Which columns of a CSV spine pass through as the text that stands in the file. Into CSV: all. Into formats with types: those that the service says are text,
 * and those whose values look like numbers but would lose digits; all others have the type that their values look like. Other spines have types: none.
 */
export async function textColumnsOf(
  tables: Tables,
  { path, present, text, format }: SpineColumns,
): Promise<readonly string[]> {
  if (extensionOf(path) !== 'csv') return []
  if (format === 'csv') return present.map(({ name }) => name)
  const numbers = present.filter(({ name, type }) => !text.has(name) && (type === 'BIGINT' || type === 'DOUBLE'))
  const lossy = await losingDigits(tables, path, present, numbers)
  return present.map(({ name }) => name).filter((name) => text.has(name) || lossy.has(name))
}

async function losingDigits(
  tables: Tables,
  path: string,
  present: readonly FileColumn[],
  numbers: readonly FileColumn[],
): Promise<ReadonlySet<string>> {
  if (numbers.length === 0) return new Set()
  const found = numbers.map(({ name, type }) => {
    const pattern = type === 'BIGINT' ? LEADING_ZERO : `${LEADING_ZERO}|${LONG_INTEGER}`
    return `coalesce(bool_or(regexp_full_match(trim(${sqlName(name)}), ${sqlText(pattern)})), false)`
  })
  const fields = numbers.map(({ name }): FieldPlan => ({
    name,
    type: { kind: 'bool' },
    nullable: false,
    nonFinite: 'reject',
  }))
  const { columns } = await tables.queryAll(`SELECT ${found.join(', ')} FROM ${typedSource(path, present).sql}`, fields)
  return new Set(numbers.filter((_, i) => columnValue(columns[i], 0) === true).map(({ name }) => name))
}
