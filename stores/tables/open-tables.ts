import { existsSync, mkdirSync, statSync } from 'node:fs'
import { DuckDBDataChunk, DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { failStore } from '../errors.ts'
import { ConvertedFiles } from './converted-files.ts'
import { ColumnCollector, duckType, duckValues, fixedWidth, validityOf } from './duckdb-values.ts'
import { conversion, extensionOf, fileSource, isArrowFile, isJsonFile, typedSource } from './file-conversion.ts'
import type { TypedSource } from './file-conversion.ts'
import { sqlName, sqlText } from './tables.ts'
import type { ColumnBatch, FileColumn, RawChunk, ReadOptions, RowSource, Tables } from './tables.ts'
import { didYouMean } from '../../features/errors/closest-name.ts'

/** DuckDB's own vector size: the most rows a data chunk takes. */
const CHUNK_ROWS = 2048
const BATCH_ROWS = 65_536

export interface TablesOptions {
  readonly temporaryFolder: string
  readonly memoryMbMax?: number
  readonly threads?: number
}

export async function openTables(options: TablesOptions): Promise<Tables> {
  mkdirSync(options.temporaryFolder, { recursive: true })
  const settings: Record<string, string> = { temp_directory: options.temporaryFolder, preserve_insertion_order: 'true' }
  if (options.memoryMbMax !== undefined) settings.memory_limit = `${options.memoryMbMax}MB`
  if (options.threads !== undefined) settings.threads = String(options.threads)
  const instance = await DuckDBInstance.create(':memory:', settings)
  return new DuckTables(instance, await connect(instance), options.temporaryFolder)
}

async function connect(instance: DuckDBInstance): Promise<DuckDBConnection> {
  const connection = await instance.connect()
  await connection.run(`SET TimeZone = 'UTC'`)
  return connection
}

/** What was expected, where the engine's own words do not say. */
const SHAPES: Readonly<Record<string, string>> = {
  csv: ' (UTF-8, cells between commas, as many in each line as in the header)',
}

class DuckTables implements Tables {
  readonly #instance: DuckDBInstance
  readonly #connection: DuckDBConnection
  readonly #converted: ConvertedFiles
  #closed = false

  constructor(instance: DuckDBInstance, connection: DuckDBConnection, temporaryFolder: string) {
    this.#instance = instance
    this.#connection = connection
    this.#converted = new ConvertedFiles(temporaryFolder)
  }

  async describe(path: string): Promise<FileColumn[]> {
    const readable = await this.readableFile(path)
    try {
      const reader = await this.#connection.runAndReadAll(`DESCRIBE SELECT * FROM ${fileSource(readable)}`)
      return reader.getRows().map((row) => ({ name: String(row[0]), type: String(row[1]) }))
    } catch (error) {
      throw failStore(
        'TM_FILE_UNREADABLE',
        `${path} cannot be read as ${extensionOf(path)}${SHAPES[extensionOf(path)] ?? ''}: ${firstLine(error)}`,
        {
          details: { path },
          cause: error,
        },
      )
    }
  }

  async readableFile(path: string): Promise<string> {
    if (!existsSync(path))
      throw failStore('TM_FILE_MISSING', `${path} does not exist: check the path`, { details: { path } })
    if (statSync(path).size === 0 && !isJsonFile(path))
      throw failStore('TM_FILE_UNREADABLE', `${path} is empty: expected at least the names of columns`, {
        details: { path },
      })
    return isArrowFile(path) ? this.#converted.parquetOf(path) : path
  }

  async *readColumns(
    path: string,
    fields: readonly FieldPlan[],
    options: ReadOptions = {},
  ): AsyncIterable<ColumnBatch> {
    const { source, columns, explain } = await this.#typed(path, fields, options)
    try {
      yield* this.queryColumns(`SELECT ${columns.join(', ')} FROM ${source.sql}`, fields)
    } catch (error) {
      throw await explain(error)
    }
  }

  async rowSource(path: string, fields: readonly FieldPlan[], options: ReadOptions = {}): Promise<RowSource> {
    const { source, columns, explain } = await this.#typed(path, fields, options)
    const named = fields.map((field, i) => `${columns[i]} AS ${sqlName(field.name)}`).join(', ')
    if (source.format === 'parquet')
      return {
        sql: `SELECT file_row_number AS "__row", ${named} FROM read_parquet(${sqlText(await this.readableFile(path))}, file_row_number = true)`,
        explain,
      }
    return { sql: `SELECT row_number() OVER () - 1 AS "__row", ${named} FROM ${source.sql}`, explain }
  }

  /** The SQL of each field of a file. */
  async #typed(path: string, fields: readonly FieldPlan[], options: ReadOptions) {
    const present = await this.#present(path, fields, options)
    const source = typedSource(await this.readableFile(path), present)
    const columns = fields.map((field) => {
      const column = present.find(({ name }) => name === field.name)
      if (column === undefined) throw missingColumn(path, field, present)
      const sql = conversion(source, column, field.type)
      if (sql === null) throw wrongType(path, field, column.type, 1)
      const keepsEmpty = source.format === 'csv' && options.emptyStrings?.has(field.name) === true
      return keepsEmpty ? `coalesce(${sql}, '')` : sql
    })
    const explain = async (error: unknown): Promise<Error> =>
      (await this.#explain(path, fields, present)) ??
      failStore('TM_FILE_UNREADABLE', `${path}: ${firstLine(error)}`, { cause: error })
    return { source, columns, explain }
  }

  /** The columns of a file. Lines of JSON have those that they may lack, and all of them where there is no line. */
  async #present(path: string, fields: readonly FieldPlan[], { absent }: ReadOptions): Promise<FileColumn[]> {
    const present = await this.describe(path)
    if (!isJsonFile(path)) return present
    const lacking = fields.filter(({ name }) => !present.some((column) => column.name === name))
    const empty = lacking.length > 0 && (await this.#isEmpty(typedSource(path, present)))
    return [
      ...present,
      ...lacking.filter(({ name }) => empty || absent?.has(name)).map(({ name }) => ({ name, type: 'JSON' })),
    ]
  }

  async #isEmpty({ sql }: TypedSource): Promise<boolean> {
    return (await this.#connection.runAndReadAll(`SELECT 1 FROM ${sql} LIMIT 1`)).currentRowCount === 0
  }

  /** Which column and row made a read fail. */
  async #explain(path: string, fields: readonly FieldPlan[], present: readonly FileColumn[]): Promise<Error | null> {
    const source = typedSource(await this.readableFile(path), present)
    for (const field of fields) {
      const column = present.find(({ name }) => name === field.name)
      if (column === undefined) continue
      const sql = conversion(source, column, field.type)
      const bad = `SELECT row FROM (SELECT row_number() OVER () AS row, ${sqlName(field.name)} AS v, TRY(${sql}) AS c FROM ${source.sql}) WHERE v IS NOT NULL AND c IS NULL ORDER BY row LIMIT 1`
      try {
        const rows = (await this.#connection.runAndReadAll(bad)).getRows()
        if (rows.length > 0) return wrongType(path, field, column.type, Number(rows[0][0]))
      } catch {
        // The file itself is unreadable; the caller says so.
        return null
      }
    }
    return null
  }

  async *queryColumns(sql: string, fields: readonly FieldPlan[]): AsyncIterable<ColumnBatch> {
    yield* this.#stream(sql, fields, BATCH_ROWS)
  }

  async queryAll(sql: string, fields: readonly FieldPlan[]): Promise<ColumnBatch> {
    for await (const batch of this.#stream(sql, fields, Infinity)) return batch
    return { rows: 0, columns: fields.map((field) => new ColumnCollector(field).finish()) }
  }

  /** On a connection of its own: another statement on the same connection would end the stream. */
  async *#stream(sql: string, fields: readonly FieldPlan[], batchRows: number): AsyncIterable<ColumnBatch> {
    const connection = await connect(this.#instance)
    try {
      const result = await connection.stream(sql)
      let collectors = fields.map((field) => new ColumnCollector(field))
      let rows = 0
      for (;;) {
        const chunk = await result.fetchChunk()
        if (chunk === null || chunk.rowCount === 0) break
        collectors.forEach((collector, i) => collector.add(chunk.getColumnVector(i), chunk.rowCount))
        rows += chunk.rowCount
        if (rows < batchRows) continue
        yield { rows, columns: collectors.map((collector) => collector.finish()) }
        collectors = fields.map((field) => new ColumnCollector(field))
        rows = 0
      }
      if (rows > 0) yield { rows, columns: collectors.map((collector) => collector.finish()) }
    } finally {
      connection.closeSync()
    }
  }

  async scan(sql: string, onChunk: (chunk: RawChunk) => void, signal?: AbortSignal): Promise<void> {
    const connection = await connect(this.#instance)
    try {
      const result = await connection.stream(sql)
      for (;;) {
        signal?.throwIfAborted()
        const chunk = await result.fetchChunk()
        if (chunk === null || chunk.rowCount === 0) return
        onChunk(rawChunk(chunk))
      }
    } finally {
      connection.closeSync()
    }
  }

  async writeArrow(sql: string, path: string, milliseconds: ReadonlySet<string>): Promise<void> {
    const { writeArrowFile } = await import('./arrow/write-arrow-file.ts')
    const connection = await connect(this.#instance)
    try {
      await writeArrowFile(connection, { sql, path, milliseconds })
    } finally {
      connection.closeSync()
    }
  }

  async execute(sql: string): Promise<void> {
    await this.#connection.run(sql)
  }

  async createTable(name: string, fields: readonly FieldPlan[]): Promise<void> {
    const columns = fields.map((field) => `${sqlName(field.name)} ${duckType(field.type).toString()}`)
    await this.#connection.run(`CREATE OR REPLACE TABLE ${sqlName(name)} (${columns.join(', ')})`)
  }

  async appendColumns(name: string, fields: readonly FieldPlan[], batch: ColumnBatch): Promise<void> {
    const appender = await this.#connection.createAppender(name)
    const types = fields.map((field) => duckType(field.type))
    for (let from = 0; from < batch.rows; from += CHUNK_ROWS) {
      const to = Math.min(from + CHUNK_ROWS, batch.rows)
      const chunk = DuckDBDataChunk.create(types, to - from)
      batch.columns.forEach((column, i) => chunk.setColumnValues(i, duckValues(column, from, to)))
      appender.appendDataChunk(chunk)
    }
    appender.closeSync()
  }

  async dropTable(name: string): Promise<void> {
    await this.#connection.run(`DROP TABLE IF EXISTS ${sqlName(name)}`)
  }

  async readParquetMetadata(path: string): Promise<Readonly<Record<string, string>>> {
    const reader = await this.#connection.runAndReadAll(
      `SELECT decode(key), decode(value) FROM parquet_kv_metadata(${sqlText(path)})`,
    )
    return Object.fromEntries(reader.getRows().map((row) => [String(row[0]), String(row[1])]))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#connection.closeSync()
    this.#instance.closeSync()
    this.#converted.close()
  }
}

function rawChunk(chunk: DuckDBDataChunk): RawChunk {
  return {
    rows: chunk.rowCount,
    items: (column) => fixedWidth(chunk.getColumnVector(column)),
    validity: (column) => validityOf(chunk.getColumnVector(column)),
    collect: (column, collector) => collector.add(chunk.getColumnVector(column), chunk.rowCount),
  }
}

function missingColumn(path: string, { name }: FieldPlan, present: readonly FileColumn[]): Error {
  const names = present.map((column) => column.name)
  return failStore(
    'TM_COLUMN_MISSING',
    `${path} has no column ${name}; it has ${names.join(', ')}${didYouMean(name, names)}`,
    { details: { path, column: name } },
  )
}

function wrongType(path: string, field: FieldPlan, found: string, row: number): Error {
  return failStore(
    'TM_COLUMN_TYPE',
    `column ${field.name} of ${path} should hold ${field.type.kind}, but row ${row} holds something else (file type ${found}): correct the file or the schema`,
    {
      details: { path, column: field.name, expected: field.type.kind, found, row },
    },
  )
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]
}
