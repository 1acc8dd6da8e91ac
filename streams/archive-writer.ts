import type { FieldPlan } from '../features/plan/field-type.ts'
import type { Column } from '../features/values/column.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import { archiveFooterText, readArchiveFooter } from '../stores/tables/archive-files.ts'
import type { ArchiveFooter, ArchiveStores } from '../stores/tables/archive-files.ts'
import { ARCHIVE_FIELDS } from '../stores/tables/archive-layout.ts'
import { sqlName, sqlStruct, sqlText } from '../stores/tables/tables.ts'

/** Collects events in position order, then commits them as one archive file. One writer at a time per keyed log and process. */
export class ArchiveWriter {
  readonly #stores: ArchiveStores
  readonly #fields: readonly FieldPlan[]
  readonly #table: string
  /** Events added so far, and about how much memory they take. */
  events = 0
  bytes = 0

  constructor(stores: ArchiveStores, keyedLog: KeyedLog) {
    this.#stores = stores
    this.#fields = [...keyedLog.source.fields, ...ARCHIVE_FIELDS]
    this.#table = `archive_${keyedLog.name}`
  }

  async add(batch: EventBatch): Promise<void> {
    const { tables } = this.#stores
    if (this.events === 0) await tables.createTable(this.#table, this.#fields)
    const columns = archiveColumns(batch)
    await tables.appendColumns(this.#table, this.#fields, { rows: batch.length, columns })
    this.events += batch.length
    for (const column of columns) this.bytes += columnBytes(column, batch.length)
  }

  /**
   * Create-only. A file that is there already was committed before a crash, or by another worker: this one is discarded and that one's footer is
   * returned. The same events make the same bytes.
   */
  async commit(name: string, footer: ArchiveFooter): Promise<ArchiveFooter> {
    const { objects, tables } = this.#stores
    const path = await objects.temporaryPath('.parquet')
    await tables.execute(copyToArchive(`SELECT * FROM ${sqlName(this.#table)}`, path, footer))
    await this.discard()
    return (await objects.createFromFile(name, path)) ? footer : readArchiveFooter(this.#stores, name)
  }

  /** Lets go of what was collected; nothing happens where nothing was. */
  async discard(): Promise<void> {
    await this.#stores.tables.dropTable(this.#table)
  }
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
