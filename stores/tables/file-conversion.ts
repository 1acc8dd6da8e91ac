import type { FieldType } from '../../features/plan/field-type.ts'
import { failStore } from '../errors.ts'
import { sqlName, sqlText } from './tables.ts'
import type { FileColumn } from './tables.ts'

export type FileFormat = 'csv' | 'json' | 'parquet'

/** A file as SQL. CSV cells are VARCHAR and JSON values are JSON, so that no guess about a column's type loses anything. */
export interface TypedSource {
  readonly format: FileFormat
  readonly sql: string
}

/** RFC 4180, nothing guessed: a guess skips lines at the beginning that have another number of cells. */
const CSV = `header = true, delim = ',', quote = '"', escape = '"', skip = 0`

/**
 * The table function that reads a file by its extension, column types found by looking at the values; `textColumns` of a CSV file are VARCHAR whatever
 * their values look like.
 */
export function fileSource(path: string, textColumns: readonly string[] = []): string {
  switch (formatOf(path)) {
    case 'parquet':
      return `read_parquet(${sqlText(path)})`
    case 'csv':
      return `read_csv(${sqlText(path)}, ${CSV}, sample_size = -1${csvTypes(textColumns)})`
    case 'json':
      return `read_json_auto(${sqlText(path)}, sample_size = -1)`
  }
}

function csvTypes(textColumns: readonly string[]): string {
  if (textColumns.length === 0) return ''
  return `, types = {${textColumns.map((name) => `${sqlName(name)}: 'VARCHAR'`).join(', ')}}`
}

export function typedSource(path: string, columns: readonly FileColumn[]): TypedSource {
  const format = formatOf(path)
  if (format === 'parquet') return { format, sql: fileSource(path) }
  if (format === 'csv') return { format, sql: `read_csv(${sqlText(path)}, ${CSV}, all_varchar = true)` }
  const types = columns.map(({ name }) => `${sqlName(name)}: 'JSON'`)
  return { format, sql: `read_json(${sqlText(path)}, columns = {${types.join(', ')}})` }
}

export function extensionOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1).toLowerCase()
}

const JSON_EXTENSIONS = new Set(['jsonl', 'ndjson', 'json'])
const ARROW_EXTENSIONS = new Set(['arrow', 'feather', 'ipc'])

/** Whether the extension says Arrow; DuckDB does not read such a file (see `Tables.readableFile`). */
export function isArrowFile(path: string): boolean {
  return ARROW_EXTENSIONS.has(extensionOf(path))
}

/** Whether the extension says JSON, one object a line. */
export function isJsonFile(path: string): boolean {
  return JSON_EXTENSIONS.has(extensionOf(path))
}

function formatOf(path: string): FileFormat {
  if (isJsonFile(path)) return 'json'
  switch (extensionOf(path)) {
    case 'parquet':
      return 'parquet'
    case 'csv':
      return 'csv'
    default:
      throw failStore(
        'TM_FILE_UNREADABLE',
        `${path}: the format follows the extension, and this one is not .parquet, .csv, .jsonl, .arrow, .feather or .ipc`,
        { details: { path } },
      )
  }
}

/**
 * SQL that turns a column of a file into what a collector of `type` takes: numbers and timestamps (epoch ms, floored) as DOUBLE, int64 as BIGINT. A value
 * that cannot be turned raises an error that TRY catches. null: no value of the column's type can be turned.
 */
export function conversion(source: TypedSource, column: FileColumn, type: FieldType): string | null {
  const name = sqlName(column.name)
  if (source.format === 'csv') return fromText(name, type)
  if (source.format === 'json') return fromJson(name, type)
  return fromTyped(name, column.type, type)
}

const INTEGER_TEXT = String.raw`[+-]?[0-9]+(\.0*)?`

/** `text` where `valid` holds, else a text that no cast to a number, a time or a boolean takes. */
function guarded(text: string, valid: string): string {
  return `CASE WHEN ${valid} THEN ${text} WHEN ${text} IS NOT NULL THEN '? ' || ${text} END`
}

function integerText(text: string): string {
  return `regexp_replace(${guarded(text, `regexp_full_match(${text}, '${INTEGER_TEXT}')`)}, '\\.0*$', '')`
}

function fromText(text: string, type: FieldType): string | null {
  switch (type.kind) {
    case 'timestamp':
      return `CASE WHEN regexp_full_match(${text}, '[+-]?[0-9]+') THEN CAST(${text} AS BIGINT)::DOUBLE ELSE ${milliseconds(`CAST(${text} AS TIMESTAMPTZ)`)} END`
    case 'int32':
      return `CAST(${integerText(text)} AS INTEGER)::DOUBLE`
    case 'int64':
      return `CAST(${integerText(text)} AS BIGINT)`
    case 'float32':
      return `CAST(${text} AS FLOAT)::DOUBLE`
    case 'float64':
      return `CAST(${text} AS DOUBLE)`
    case 'string':
    case 'enum':
      return text
    case 'bool':
      return `CAST(${text} AS BOOLEAN)`
    case 'bytes':
      return `from_base64(${text})`
    case 'vector':
      return vectorOf(`CAST(${text} AS FLOAT[])`, type.length)
  }
}

function fromJson(name: string, type: FieldType): string | null {
  const text = `(${name} ->> '$')`
  const isOf = (...types: string[]): string => `json_type(${name}) IN (${types.map(sqlText).join(', ')})`
  const number = isOf('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')
  switch (type.kind) {
    case 'int32':
    case 'int64':
    case 'float32':
    case 'float64':
      return fromText(`(${guarded(text, number)})`, type)
    case 'timestamp':
      return fromText(text, type)
    case 'bool':
      return fromText(`(${guarded(text, isOf('BOOLEAN'))})`, type)
    case 'string':
    case 'enum':
      // Only a cast can fail inside TRY: the one to BOOLEAN always does here.
      return `CASE WHEN ${isOf('VARCHAR')} THEN ${text} WHEN ${text} IS NOT NULL THEN CAST(CAST('? ' || ${text} AS BOOLEAN) AS VARCHAR) END`
    case 'bytes':
      return fromText(text, type)
    case 'vector':
      return vectorOf(`CAST(${name} AS FLOAT[])`, type.length)
  }
}

function fromTyped(name: string, from: string, type: FieldType): string | null {
  const whole = `CAST(CASE WHEN ${name} = trunc(${name}) THEN ${name}::VARCHAR WHEN ${name} IS NOT NULL THEN '?' END AS DOUBLE)`
  switch (type.kind) {
    case 'timestamp':
      if (/^(TIMESTAMP|DATE)/.test(from)) return milliseconds(name)
      if (from === 'VARCHAR') return fromText(name, type)
      return isInteger(from) ? `CAST(${name} AS BIGINT)::DOUBLE` : null
    case 'int32':
      if (isInteger(from)) return `CAST(${name} AS INTEGER)::DOUBLE`
      return isFloat(from) ? `CAST(${whole} AS INTEGER)::DOUBLE` : null
    case 'int64':
      return isInteger(from) ? `CAST(${name} AS BIGINT)` : null
    case 'float32':
      return isInteger(from) || isFloat(from) ? `CAST(${name} AS FLOAT)::DOUBLE` : null
    case 'float64':
      return isInteger(from) || isFloat(from) ? `CAST(${name} AS DOUBLE)` : null
    case 'string':
    case 'enum':
      return from === 'VARCHAR' || from === 'UUID' || from.startsWith('ENUM') ? `CAST(${name} AS VARCHAR)` : null
    case 'bool':
      return from === 'BOOLEAN' ? name : null
    case 'bytes':
      return from === 'BLOB' ? name : null
    case 'vector':
      return from.includes('[') ? vectorOf(`CAST(${name} AS FLOAT[])`, type.length) : null
  }
}

/** The list where it has `length` numbers, all there; else an error. */
function vectorOf(list: string, length: number): string {
  return `CASE WHEN len(${list}) = ${length} AND len(list_filter(${list}, x -> x IS NULL)) = 0 THEN ${list} WHEN ${list} IS NOT NULL THEN CAST('?' AS FLOAT[]) END`
}

function milliseconds(time: string): string {
  return `floor(epoch_us(CAST(${time} AS TIMESTAMP)) / 1000)`
}

function isInteger(type: string): boolean {
  return /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/.test(type)
}

function isFloat(type: string): boolean {
  return /^(FLOAT|DOUBLE|DECIMAL)/.test(type)
}
