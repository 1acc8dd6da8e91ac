import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { Column } from '../../features/values/column.ts'
import type { ColumnCollector } from './duckdb-values.ts'

/** Rows of a file, query or table, column-wise. */
export interface ColumnBatch {
  readonly rows: number
  readonly columns: readonly Column[]
}

export interface FileColumn {
  readonly name: string
  readonly type: string
}

export interface ReadOptions {
  /** String columns in which an empty CSV cell is `''`, not null (entity keys). */
  readonly emptyStrings?: ReadonlySet<string>
  /** Fields that every line of a JSON file may lack: null then, as in each line that lacks them. */
  readonly absent?: ReadonlySet<string>
}

export type FixedWidthItems = Float64Array | BigInt64Array | Int32Array | Uint8Array

/** Some rows of a query as they lie in memory. What the methods give is valid until the callback that got the chunk returns. */
export interface RawChunk {
  readonly rows: number
  /** The values of a column of fixed width, at least `rows` of them; those of nulls are arbitrary. DOUBLE, BIGINT, INTEGER, UTINYINT. */
  items(column: number): FixedWidthItems
  /** Bit i mod 64 of word i / 64 is 0 where row i is null; null: no row is. */
  validity(column: number): BigUint64Array | null
  /** JavaScript values in a column's own storage, for types that have no fixed width. */
  collect(column: number, collector: ColumnCollector): void
}

/** Rows of a file as SQL. */
export interface RowSource {
  /** SELECT of `"__row"` (from 0, in file order) and the fields by name, converted as `readColumns` says. */
  readonly sql: string
  /** What made a statement over it fail: TM_COLUMN_TYPE with column and first row, or TM_FILE_UNREADABLE. */
  explain(error: unknown): Promise<Error>
}

/**
 * The tables port: reads and writes CSV, Parquet, Arrow and JSONL, selects, sorts and joins (DuckDB). It never computes a feature. Timestamps in tables that
 * Tidemark makes are BIGINT epoch ms.
 */
export interface Tables {
  /** Columns of a file. TM_FILE_MISSING, TM_FILE_UNREADABLE. */
  describe(path: string): Promise<FileColumn[]>
  /** Rows in file order. TM_COLUMN_MISSING; TM_COLUMN_TYPE names column and first row. Timestamps may be ISO-8601 text, TIMESTAMP or epoch ms. */
  readColumns(path: string, fields: readonly FieldPlan[], options?: ReadOptions): AsyncIterable<ColumnBatch>
  /** Other calls may run while the rows are being read. A query whose SELECT list has the fields' order and storage (timestamps as epoch ms). */
  queryColumns(sql: string, fields: readonly FieldPlan[]): AsyncIterable<ColumnBatch>
  /** The same as one batch. */
  queryAll(sql: string, fields: readonly FieldPlan[]): Promise<ColumnBatch>
  /** A query's rows chunk by chunk, in no particular order unless the SQL says one, several calls at once if need be. Stops with the signal's reason. */
  scan(sql: string, onChunk: (chunk: RawChunk) => void, signal?: AbortSignal): Promise<void>
  /** As `readColumns`, for further SQL. */
  rowSource(path: string, fields: readonly FieldPlan[], options?: ReadOptions): Promise<RowSource>
  /** A query's rows, in its order, as an Arrow file (IPC file format); columns named in `milliseconds` hold times as UTC milliseconds. */
  writeArrow(sql: string, path: string, milliseconds: ReadonlySet<string>): Promise<void>
  /** The file itself, or what an Arrow file holds as Parquet, kept until the tables are closed. TM_FILE_MISSING, TM_FILE_UNREADABLE. */
  readableFile(path: string): Promise<string>
  execute(sql: string): Promise<void>
  /** A table in memory (spilling to disk) that `appendColumns` fills. */
  createTable(name: string, fields: readonly FieldPlan[]): Promise<void>
  appendColumns(name: string, fields: readonly FieldPlan[], batch: ColumnBatch): Promise<void>
  dropTable(name: string): Promise<void>
  /** Footer key-values of a Parquet file. */
  readParquetMetadata(path: string): Promise<Readonly<Record<string, string>>>
  close(): Promise<void>
}

/** `'text'` with quotes doubled. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** `"name"` with quotes doubled. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `{'key': 'text', …}`. */
export function sqlStruct(entries: Readonly<Record<string, string>>): string {
  const parts = Object.entries(entries).map(([key, text]) => `${sqlText(key)}: ${sqlText(text)}`)
  return `{${parts.join(', ')}}`
}
