import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { bucketOf, entityKeyBytes, partitionOf } from '../features/values/entity-key.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { archiveCandidates, wholeArchive } from '../stores/tables/archive-files.ts'
import type { ArchiveCandidate, ArchiveFile } from '../stores/tables/archive-files.ts'
import { sqlLiteral } from '../stores/tables/sql-literal.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import type { OfflineContext } from './offline-context.ts'

/** The offsets of an entity's archived events with the greatest τ at each, ascending. */
export interface EntityEvent {
  readonly offset: number
  readonly tau: number
}

const TIME = { type: { kind: 'timestamp' }, nullable: false, nonFinite: 'reject' } as const

/** Null where a key is null: such a row has no partition. */
export function partitionOfRow(context: OfflineContext, view: CompiledView, row: ServedRow): number | null {
  const components = view.plan.entity.columns.map(({ name }) => row.entity[name] ?? null)
  if (components.includes(null)) return null
  return partitionOf(bucketOf(entityKeyBytes(components), context.buckets), context.partitions)
}

/** Every archive file that a partition of a view's keyed log has, replaced ones too. */
export async function candidatesOfPartition(
  context: OfflineContext,
  view: CompiledView,
  partition: number,
): Promise<ArchiveCandidate[]> {
  const keyedLog = keyedLogOf(view)
  const topic = await context.log.topic(`keyed.${keyedLog}`)
  return topic === null ? [] : archiveCandidates(context, { keyedLog, incarnation: topic.incarnation, partition })
}

/** The archive files that a view's events of a partition are in. TM_ARCHIVE_DAMAGED, also where the last ones are missing. */
export async function filesOfPartition(
  context: OfflineContext,
  view: CompiledView,
  partition: number,
): Promise<ArchiveFile[]> {
  const keyedLog = keyedLogOf(view)
  const topic = await context.log.topic(`keyed.${keyedLog}`)
  return topic === null ? [] : wholeArchive(context, { keyedLog, incarnation: topic.incarnation, partition })
}

export async function entityEvents(
  context: OfflineContext,
  view: CompiledView,
  row: ServedRow,
): Promise<EntityEvent[]> {
  const partition = partitionOfRow(context, view, row)
  const files = partition === null ? [] : await filesOfPartition(context, view, partition)
  if (files.length === 0) return []
  const paths = await Promise.all(files.map(({ name }) => context.objects.localPath(name)))
  const isOwn = view.plan.entity.columns.map(
    (field) => `${sqlName(field.name)} = ${sqlLiteral(field, row.entity[field.name])}`,
  )
  const { rows, columns } = await context.tables.queryAll(
    `SELECT "__offset"::DOUBLE, max(least("__event_time", "__arrival"))::DOUBLE FROM read_parquet([${paths.map(sqlText).join(', ')}])
     WHERE ${isOwn.join(' AND ')} GROUP BY 1 ORDER BY 1`,
    [
      { name: 'offset', ...TIME },
      { name: 'tau', ...TIME },
    ],
  )
  const [offsets, taus] = columns.map((column) => (column.storage === 'number' ? column.values : new Float64Array(0)))
  return Array.from({ length: rows }, (_, i) => ({ offset: offsets[i], tau: taus[i] }))
}
