import { rm } from 'node:fs/promises'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { createColumnBuilder } from '../features/kernel/function-results.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import type { Column } from '../features/values/column.ts'
import { columnValue } from '../features/values/column.ts'
import { extensionOf, fileSource } from '../stores/tables/file-conversion.ts'
import { readParquetFile } from '../stores/tables/parquet/splice.ts'
import type { ParquetFile } from '../stores/tables/parquet/splice.ts'
import { sqlText } from '../stores/tables/tables.ts'
import type { RowSource, Tables } from '../stores/tables/tables.ts'
import { addedColumns } from './encode-row-group.ts'
import { failOffline } from './errors.ts'
import type { OutputFormat } from './output-format.ts'
import { textColumnsOf } from './spine-text.ts'

/** Row groups of the output have at most this many rows, whatever the spine's have. */
const ROW_GROUP_MAX = 1 << 20
const ROW_GROUP_ROWS = 122_880

/** The table that an export is made for. */
export interface Spine {
  readonly path: string
  readonly rows: number
  /** The spine as Parquet: itself, or a copy with the same columns. */
  readonly parquet: ParquetFile
  /** Entity keys, the time and request fields, converted. */
  readonly source: RowSource
  readonly timestamp: string
  /** Removes the copy. */
  close(): Promise<void>
}

export interface SpineOptions {
  readonly path: string
  readonly timestamp: string
  readonly service: CompiledService
  readonly views: readonly CompiledView[]
  /** Where a copy may lie. */
  readonly copy: string
  /** Of the output. */
  readonly format: OutputFormat
}

/** Looks a spine over. TM_SPINE_COLUMN, TM_FILE_MISSING, TM_FILE_UNREADABLE. */
export async function openSpine(tables: Tables, options: SpineOptions): Promise<Spine> {
  const { path, timestamp, service, views, copy, format } = options
  const { fields, emptyStrings } = spineFields(options)
  const present = await tables.describe(path)
  refuseTwice(
    service,
    path,
    present.map(({ name }) => name),
  )
  const source = await asSpineError(tables.rowSource(path, fields, { emptyStrings }))
  const text = new Set(
    [...views.flatMap(({ plan }) => plan.entity.columns), ...service.plan.request]
      .filter(({ type }) => ['string', 'enum'].includes(type.kind))
      .map(({ name }) => name),
  )
  const textColumns = await textColumnsOf(tables, { path, present, text, format })
  const parquet = await parquetOf(tables, path, copy, textColumns)
  const rows = parquet.rowGroups.reduce((sum, count) => sum + count, 0)
  return { path, rows, parquet, source, timestamp, close: () => rm(copy, { force: true }) }
}

/** Errors of reading a spine name it as such. */
export async function asSpineError<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading
  } catch (error) {
    if (isTidemarkError(error) && error.code.startsWith('TM_COLUMN'))
      throw failOffline('TM_SPINE_COLUMN', error.message, { details: error.details, cause: error })
    throw error
  }
}

function spineFields({ timestamp, service, views }: SpineOptions): { fields: FieldPlan[]; emptyStrings: Set<string> } {
  const fields = new Map<string, FieldPlan>([
    [timestamp, { name: timestamp, type: { kind: 'timestamp' }, nullable: true, nonFinite: 'reject' }],
  ])
  const emptyStrings = new Set<string>()
  for (const column of views.flatMap(({ plan }) => plan.entity.columns)) {
    fields.set(column.name, { ...column, nullable: true })
    if (column.type.kind === 'string') emptyStrings.add(column.name)
  }
  for (const field of service.plan.request) fields.set(field.name, { ...field, nullable: true })
  return { fields: [...fields.values()], emptyStrings }
}

function refuseTwice(service: CompiledService, path: string, names: readonly string[]): void {
  const known = new Set(names.map((name) => name.toLowerCase()))
  const twice = addedColumns(service.plan).find(({ name }) => known.has(name.toLowerCase()))
  if (twice !== undefined)
    throw failOffline(
      'TM_SPINE_COLUMN',
      `${path} has a column ${twice.name}, and so has the service ${service.plan.name}: rename or leave out the spine's`,
      {
        details: { path, column: twice.name },
      },
    )
}

/** The file itself where its row groups can be taken over, else a copy. Text columns are text in a copy, whatever their values look like. */
async function parquetOf(
  tables: Tables,
  path: string,
  copy: string,
  textColumns: readonly string[],
): Promise<ParquetFile> {
  const readable = await tables.readableFile(path)
  if (extensionOf(readable) === 'parquet') {
    const file = await readParquetFile(readable)
    if (file.rowGroups.every((rows) => rows <= ROW_GROUP_MAX)) return file
  }
  await tables.execute(
    `COPY (SELECT * FROM ${fileSource(readable, textColumns)}) TO ${sqlText(copy)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
  )
  return readParquetFile(copy)
}

/** The request fields of all rows, in row order. */
export async function readRequest(tables: Tables, spine: Spine, service: CompiledService): Promise<Column[]> {
  const fields = service.plan.request.map((field) => ({ ...field, nullable: true }))
  if (fields.length === 0) return []
  const builders = fields.map((field) => createColumnBuilder(field.type, spine.rows))
  let at = 0
  const read = async (): Promise<void> => {
    for await (const { rows, columns } of tables.readColumns(spine.path, fields)) {
      for (const [f, column] of columns.entries())
        for (let i = 0; i < rows; i++) builders[f].set(at + i, columnValue(column, i))
      at += rows
    }
  }
  await asSpineError(read())
  return builders.map((builder) => builder.finish())
}
