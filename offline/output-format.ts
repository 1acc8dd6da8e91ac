import type { ValueType } from '../features/plan/field-type.ts'
import { isArrowFile } from '../stores/tables/file-conversion.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import type { Tables } from '../stores/tables/tables.ts'
import { failOffline } from './errors.ts'

export type OutputFormat = 'parquet' | 'csv' | 'arrow'

/** By extension. TM_EXPORT_FORMAT. */
export function outputFormat(out: string): OutputFormat {
  if (out.endsWith('.parquet')) return 'parquet'
  if (out.endsWith('.csv')) return 'csv'
  if (isArrowFile(out)) return 'arrow'
  throw failOffline(
    'TM_EXPORT_FORMAT',
    `${out}: the format follows the extension: .parquet, .csv, .arrow, .feather or .ipc`,
  )
}

export interface Conversion {
  readonly format: OutputFormat
  /** The finished Parquet file. */
  readonly from: string
  readonly to: string
  /** The added columns; the spine's are written as DuckDB writes them. */
  readonly columns: readonly { readonly name: string; readonly type: ValueType }[]
}

/**
 * The result in another format, rows in their order. CSV: lists, vectors and maps as JSON text, bytes as base64, timestamps as epoch ms. Arrow: lists and maps as such,
 * the added timestamps in UTC milliseconds.
 */
export async function convertOutput(tables: Tables, { format, from, to, columns }: Conversion): Promise<void> {
  if (format === 'arrow') {
    const added = new Set(columns.map(({ name }) => name))
    return tables.writeArrow(`SELECT * FROM read_parquet(${sqlText(from)})`, to, added)
  }
  const replaced = columns.flatMap(({ name, type }) => {
    const sql = csvSql(sqlName(name), type)
    return sql === null ? [] : [`${sql} AS ${sqlName(name)}`]
  })
  const select = replaced.length === 0 ? '*' : `* REPLACE (${replaced.join(', ')})`
  await tables.execute(
    `COPY (SELECT ${select} FROM read_parquet(${sqlText(from)})) TO ${sqlText(to)} (FORMAT csv, HEADER true)`,
  )
}

function csvSql(name: string, type: ValueType): string | null {
  switch (type.kind) {
    case 'timestamp':
      return `epoch_ms(${name})`
    case 'bytes':
      return `to_base64(${name})`
    case 'vector':
    case 'list':
    case 'map':
      return `to_json(${name})::VARCHAR`
    default:
      return null
  }
}
