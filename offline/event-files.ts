import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { archiveFiles } from '../stores/tables/archive-files.ts'
import { flatColumns } from '../stores/tables/parquet/flat-columns.ts'
import { readParquetFile } from '../stores/tables/parquet/splice.ts'
import type { ParquetFile } from '../stores/tables/parquet/splice.ts'
import type { OfflineContext } from './offline-context.ts'
import { timeField } from './load-events.ts'
import { fieldChunk } from './read-field-chunk.ts'
import type { FieldChunk } from './read-field-chunk.ts'

/** An archive file that a view's events are in. */
export interface EventFile {
  readonly path: string
  readonly events: number
  /** The pinned end of the archive where the file goes beyond it: only offsets below count. */
  readonly end: number | null
  /** Null where a chunk is packed so that only DuckDB reads it. */
  readonly rowGroups: readonly EventRowGroup[] | null
}

export interface EventRowGroup {
  readonly keys: readonly FieldChunk[]
  /** By field to read; where the file has an `end`, the offsets after them. */
  readonly chunks: readonly FieldChunk[]
}

/** By keyed partition, the files up to the pinned ends. TM_ARCHIVE_DAMAGED. */
export async function eventFiles(
  context: OfflineContext,
  view: CompiledView,
  fields: readonly FieldPlan[],
  endOffset: readonly number[],
): Promise<EventFile[][]> {
  const keyedLog = keyedLogOf(view)
  const topic = await context.log.topic(`keyed.${keyedLog}`)
  const found: EventFile[][] = endOffset.map(() => [])
  for (let partition = 0; topic !== null && partition < endOffset.length; partition++) {
    const pinned = endOffset[partition]
    const place = { keyedLog, incarnation: topic.incarnation, partition }
    for (const { name, events, lastOffset } of await archiveFiles(context, place, pinned)) {
      const path = await context.objects.localPath(name)
      const end = lastOffset >= pinned ? pinned : null
      const read = end === null ? fields : [...fields, timeField('__offset')]
      found[partition].push({ path, events, end, rowGroups: rowGroupsOf(await readParquetFile(path), view, read) })
    }
  }
  return found
}

function rowGroupsOf(file: ParquetFile, { plan }: CompiledView, fields: readonly FieldPlan[]): EventRowGroup[] | null {
  const columns = flatColumns(file)
  const groups: EventRowGroup[] = []
  for (let group = 0; group < file.rowGroups.length; group++) {
    const chunksOf = (wanted: readonly FieldPlan[]): FieldChunk[] =>
      wanted.flatMap(({ name, type }) => fieldChunk(file, group, columns.get(name), type) ?? [])
    const keys = chunksOf(plan.entity.columns)
    const chunks = chunksOf(fields)
    if (keys.length < plan.entity.columns.length || chunks.length < fields.length) return null
    groups.push({ keys, chunks })
  }
  return groups
}
