import { rm } from 'node:fs/promises'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { Column } from '../../features/values/column.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { archiveFooterText, readArchiveFooter } from '../../stores/tables/archive-files.ts'
import type { ArchiveFooter, ArchiveStores } from '../../stores/tables/archive-files.ts'
import { ARCHIVE_FIELDS } from '../../stores/tables/archive-layout.ts'
import { ColumnAccumulator } from '../../stores/tables/parquet/column-accumulators.ts'
import type { LeafChunk } from '../../stores/tables/parquet/column-chunk.ts'
import { ParquetWriter, ROW_GROUP_ROWS } from '../../stores/tables/parquet/parquet-writer.ts'
import { sqlStruct, sqlText } from '../../stores/tables/tables.ts'

/**
 * Collects events in position order, then commits them as one archive file; full row groups are written as they come. One writer at a time per keyed log and process. What
 * the file holds depends on the events alone, not on the batches that they came in.
 */
export class ArchiveWriter {
  readonly #stores: ArchiveStores
  readonly #columns: readonly ColumnAccumulator[]
  #file: { readonly path: string; readonly writer: ParquetWriter } | null = null
  #rows = 0
  /** Events added so far, and about how much memory they would take. */
  events = 0
  bytes = 0

  constructor(stores: ArchiveStores, keyedLog: KeyedLog) {
    this.#stores = stores
    const fields = [...keyedLog.source.fields, ...ARCHIVE_FIELDS]
    this.#columns = fields.map((field) => new ColumnAccumulator(field, ROW_GROUP_ROWS))
  }

  async add(batch: EventBatch): Promise<void> {
    const columns = archiveColumns(batch)
    for (let from = 0; from < batch.length;) {
      const to = Math.min(batch.length, from + ROW_GROUP_ROWS - this.#rows)
      this.#columns.forEach((column, i) => column.append(columns[i], from, to))
      this.#rows += to - from
      from = to
      if (this.#rows === ROW_GROUP_ROWS) await this.#flush()
    }
    this.events += batch.length
    for (const column of columns) this.bytes += columnBytes(column, batch.length)
  }

  /**
   * Create-only. A file that is there already was committed before a crash, or by another worker: this one is discarded and that one's footer is
   * returned. The same events make the same bytes.
   */
  async commit(name: string, footer: ArchiveFooter): Promise<ArchiveFooter> {
    if (this.#rows > 0) await this.#flush()
    const { path, writer } = await this.#open()
    await writer.finish(archiveFooterText(footer))
    this.#file = null
    return (await this.#stores.objects.createFromFile(name, path)) ? footer : readArchiveFooter(this.#stores, name)
  }

  /** Lets go of what was collected; nothing happens where nothing was, or it was committed. */
  async discard(): Promise<void> {
    const file = this.#file
    if (file === null) return
    this.#file = null
    await file.writer.close()
    await rm(file.path, { force: true })
  }

  async #open(): Promise<{ readonly path: string; readonly writer: ParquetWriter }> {
    if (this.#file !== null) return this.#file
    const path = await this.#stores.objects.temporaryPath('.parquet')
    const schema = this.#columns.flatMap(({ shape }) => shape.schema)
    this.#file = { path, writer: await ParquetWriter.open(path, schema, this.#columns.length) }
    return this.#file
  }

  async #flush(): Promise<void> {
    const { writer } = await this.#open()
    const rows = this.#rows
    this.#rows = 0
    await writer.writeRowGroup(rows, leavesOf(this.#columns))
  }
}

/** One after the other: each is written before the next is made. */
function* leavesOf(columns: readonly ColumnAccumulator[]): Iterable<LeafChunk> {
  for (const column of columns) yield column.finish()
}

/** Rows of a query, whose order is kept, into an archive file at a local path. */
export function copyToArchive(query: string, path: string, footer: ArchiveFooter): string {
  return `COPY (${query}) TO ${sqlText(path)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA ${sqlStruct(archiveFooterText(footer))})`
}

function archiveColumns(batch: EventBatch): Column[] {
  const number = (values: Float64Array, field: FieldPlan): Column => ({
    storage: 'number',
    type: field.type,
    values,
    nulls: null,
  })
  return [
    ...batch.columns,
    number(batch.eventTime, ARCHIVE_FIELDS[0]),
    number(batch.arrival, ARCHIVE_FIELDS[1]),
    number(batch.offset, ARCHIVE_FIELDS[2]),
    number(Float64Array.from(batch.index), ARCHIVE_FIELDS[3]),
  ]
}

const STRING_BYTES = 16

function columnBytes(column: Column, rows: number): number {
  if (column.storage === 'bytes') return column.values.reduce((sum, value) => sum + STRING_BYTES + value.length, 0)
  if (column.storage !== 'string') return column.values.byteLength
  let bytes = rows * STRING_BYTES
  for (let i = 0; i < rows; i++)
    if (column.nulls === null || column.nulls[i] === 0) bytes += column.dictionary[column.codes[i]].length
  return bytes
}
