import type { FieldPlan } from '../../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../../features/values/column.ts'
import type { NumberColumn } from '../../features/values/column.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import { wholeArchive } from '../../stores/tables/archive-files.ts'
import type { ArchiveFile, ArchiveFooter, PartitionPlace } from '../../stores/tables/archive-files.ts'
import { ARCHIVE_FIELDS } from '../../stores/tables/archive-layout.ts'
import { sqlName, sqlText } from '../../stores/tables/tables.ts'
import type { ColumnBatch } from '../../stores/tables/tables.ts'
import type { StreamContext } from '../stream-context.ts'

/** About how many events one read gives. */
const READ_EVENTS = 100_000

export interface ArchivedEvents {
  /** In position order. null: none in this range. */
  readonly batch: EventBatch | null
  /** The offset after the range. */
  readonly nextOffset: number
  /** Encoded origin high-waters at `nextOffset` (see `origin-filter.ts`), where they are known: at the end of a file. */
  readonly origins: Uint8Array | null
}

/** A keyed partition's archived events in position order, from any offset on. */
export class ArchiveReader {
  readonly #context: StreamContext
  readonly #place: PartitionPlace
  readonly #fields: readonly FieldPlan[]
  readonly #footers = new Map<string, ArchiveFooter>()
  #files: readonly ArchiveFile[] = []

  constructor(context: StreamContext, place: PartitionPlace, fields: readonly FieldPlan[]) {
    this.#context = context
    this.#place = place
    this.#fields = fields
  }

  /** Events from `fromOffset` on, below `until`; null where no file reaches beyond `fromOffset`. Offsets between files hold nothing new. TM_ARCHIVE_DAMAGED. */
  async read(fromOffset: number, until: number): Promise<ArchivedEvents | null> {
    if (fromOffset >= until) return null
    const file = await this.#fileAt(fromOffset)
    if (file === undefined) return null
    if (file.firstOffset > fromOffset)
      return { batch: null, nextOffset: Math.min(file.firstOffset, until), origins: null }
    const perOffset = file.events / (file.lastOffset - file.firstOffset + 1)
    const offsets = Math.max(1, Math.floor(READ_EVENTS / Math.max(perOffset, 1e-9)))
    const nextOffset = Math.min(fromOffset + offsets, file.lastOffset + 1, until)
    const batch = await this.#query(await this.#context.objects.localPath(file.name), fromOffset, nextOffset)
    return {
      batch: batch.rows === 0 ? null : this.#toEvents(batch),
      nextOffset,
      origins: nextOffset === file.lastOffset + 1 ? Buffer.from(file.origins, 'base64') : null,
    }
  }

  /** The first file that reaches beyond an offset. Listed anew at each file's end: compaction may have replaced the ones that follow. */
  async #fileAt(offset: number): Promise<ArchiveFile | undefined> {
    const covers = (file: ArchiveFile): boolean => file.firstOffset <= offset && offset <= file.lastOffset
    const held = this.#files.find(covers)
    if (held !== undefined && held.firstOffset !== offset) return held
    const { objects, tables, metadata } = this.#context
    this.#files = await wholeArchive({ objects, tables, metadata, footers: this.#footers }, this.#place)
    return this.#files.find(({ lastOffset }) => lastOffset >= offset)
  }

  async #query(path: string, from: number, to: number): Promise<ColumnBatch> {
    const fields = [...this.#fields, ...ARCHIVE_FIELDS]
    const select = fields.map(({ name, type }) =>
      COLUMN_STORAGE[type.kind] === 'number' ? `${sqlName(name)}::DOUBLE` : sqlName(name),
    )
    const range = `"__offset" >= ${from} AND "__offset" < ${to}`
    return this.#context.tables.queryAll(
      `SELECT ${select.join(', ')} FROM read_parquet(${sqlText(path)}) WHERE ${range} ORDER BY "__offset", "__index"`,
      fields,
    )
  }

  #toEvents({ rows, columns }: ColumnBatch): EventBatch {
    const own = this.#fields.length
    const [eventTime, arrival, offset, index] = columns.slice(own).map((column) => (column as NumberColumn).values)
    return {
      length: rows,
      columns: columns.slice(0, own),
      eventTime,
      arrival,
      tau: eventTime.map((time, i) => Math.min(time, arrival[i])),
      offset,
      index: Int32Array.from(index),
    }
  }
}
