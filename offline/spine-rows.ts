import { closeSync, openSync } from 'node:fs'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { EntityPlan } from '../features/plan/source-plan.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { extensionOf } from '../stores/tables/file-conversion.ts'
import { chunkPlace, flatColumns } from '../stores/tables/parquet/flat-columns.ts'
import type { ChunkPlace, FlatColumn } from '../stores/tables/parquet/flat-columns.ts'
import { readNumberChunk } from '../stores/tables/parquet/read-column-chunk.ts'
import { sqlName } from '../stores/tables/tables.ts'
import type { Tables } from '../stores/tables/tables.ts'
import { addKeys, packKeys, readKeys } from './batch-keys.ts'
import type { PackedKeys } from './batch-keys.ts'
import { failOffline } from './errors.ts'
import { KeyTable } from './key-table.ts'
import { timeField } from './load-events.ts'
import { fieldChunk } from './read-field-chunk.ts'
import type { FieldChunk } from './read-field-chunk.ts'
import { numberEntities } from './row-entities.ts'
import type { Partitioning, RowEntities } from './row-entities.ts'
import { asSpineError } from './spine.ts'
import type { Spine } from './spine.ts'
import type { TaskPool } from './task-pool.ts'

/** What evaluation needs of a spine, for all rows, in row order. */
export interface SpineRows {
  /** Epoch ms, floored; in shared memory. */
  readonly t: Float64Array
  /** The rows' entities by view. */
  readonly entities: readonly RowEntities[]
}

/** One row group of a spine, read without DuckDB. */
export interface SpineRowGroup {
  readonly path: string
  readonly time: ChunkPlace
  readonly isMicroseconds: boolean
  readonly entities: readonly { readonly entity: EntityPlan; readonly keys: readonly FieldChunk[] }[]
}

export interface SpineRowsRead {
  readonly t: Float64Array
  /** The first row without a time, or −1. */
  readonly missing: number
  readonly keys: readonly PackedKeys[]
}

export function readSpineRowGroup({ path, time, isMicroseconds, entities }: SpineRowGroup): SpineRowsRead {
  const file = openSync(path, 'r')
  try {
    const { values, nulls } = readNumberChunk(file, time)
    if (isMicroseconds) for (let i = 0; i < values.length; i++) values[i] = Math.floor(values[i] / 1000)
    return {
      t: values,
      missing: nulls === null ? -1 : nulls.indexOf(1),
      keys: entities.map(({ entity, keys }) => readKeys(file, entity, keys)),
    }
  } finally {
    closeSync(file)
  }
}

export interface SpineReading {
  readonly spine: Spine
  readonly views: readonly CompiledView[]
  readonly partitioning: Partitioning
  readonly signal?: AbortSignal
}

/** Reads times and keys of all rows once, whatever the number of views. TM_SPINE_COLUMN. */
export async function readSpineRows(tables: Tables, pool: TaskPool, reading: SpineReading): Promise<SpineRows> {
  const { spine, views, partitioning, signal } = reading
  const plans = new Map(views.map(({ plan }) => [canonicalJson(plan.entity), plan.entity]))
  const entities = [...plans.values()]
  const t = new Float64Array(new SharedArrayBuffer(8 * spine.rows))
  const held = entities.map((entity) => ({ entity, table: new KeyTable(), keyOf: new Int32Array(spine.rows) }))
  let missing = Infinity
  const add = ({ keys, ...read }: SpineRowsRead, row: number): void => {
    t.set(read.t, row)
    if (read.missing >= 0) missing = Math.min(missing, row + read.missing)
    keys.forEach((packed, e) => held[e].keyOf.set(addKeys(packed, held[e].table), row))
  }
  const groups = rowGroupsOf(spine, entities)
  if (groups === null) await queryRows(tables, { ...reading, entities }, add)
  else await readRowGroups(pool, groups, { add, signal })
  if (missing < Infinity)
    throw failOffline(
      'TM_SPINE_COLUMN',
      `row ${missing + 1} of ${spine.path} has no ${spine.timestamp}: every row needs a time`,
      { details: { row: missing, column: spine.timestamp } },
    )
  const numbered = new Map(held.map(({ entity, table, keyOf }) => [entity, numberEntities(table, keyOf, partitioning)]))
  return { t, entities: views.map(({ plan }) => numbered.get(plans.get(canonicalJson(plan.entity))!)!) }
}

/** In row order, so that keys get the same numbers in every run; a few row groups ahead. */
async function readRowGroups(
  pool: TaskPool,
  groups: readonly SpineRowGroup[],
  { add, signal }: { add: (read: SpineRowsRead, row: number) => void; signal?: AbortSignal },
): Promise<void> {
  const ahead: Promise<SpineRowsRead>[] = []
  let started = 0
  let row = 0
  for (let g = 0; g < groups.length; g++) {
    signal?.throwIfAborted()
    for (; started < groups.length && started <= g + 2 * pool.threads; started++) {
      const read = pool.run({ kind: 'spine', group: groups[started] })
      read.catch(() => {})
      ahead.push(read)
    }
    const read = await ahead.shift()!
    add(read, row)
    row += read.t.length
  }
}

/** Null where the spine is no Parquet file, or a column is of a type that has to be converted. */
function rowGroupsOf(spine: Spine, entities: readonly EntityPlan[]): SpineRowGroup[] | null {
  if (extensionOf(spine.path) !== 'parquet') return null
  const { parquet } = spine
  const columns = flatColumns(parquet)
  const time = columns.get(spine.timestamp)
  if (time === undefined || !['integer', 'milliseconds', 'microseconds'].includes(time.meaning)) return null
  const groups: SpineRowGroup[] = []
  for (let group = 0; group < parquet.rowGroups.length; group++) {
    const place = chunkPlace(parquet, group, time)
    const keys = entities.map((entity) => ({
      entity,
      keys: entity.columns.flatMap(({ name, type }) =>
        isTaken(columns.get(name), type) ? (fieldChunk(parquet, group, columns.get(name), type) ?? []) : [],
      ),
    }))
    if (place === null || keys.some(({ entity, keys: found }) => found.length < entity.columns.length)) return null
    groups.push({
      path: parquet.path,
      time: place,
      isMicroseconds: time.meaning === 'microseconds',
      entities: keys,
    })
  }
  return groups
}

/** Key types that a spine's column can only hold valid values of. */
function isTaken(column: FlatColumn | undefined, { kind }: FieldPlan['type']): boolean {
  if (kind === 'string' || kind === 'enum' || kind === 'bool') return true
  const INT32 = 1
  return kind === 'int64' || (kind === 'int32' && column?.physicalType === INT32)
}

/** By SQL, converted, in row order. */
async function queryRows(
  tables: Tables,
  { spine, entities, signal }: SpineReading & { readonly entities: readonly EntityPlan[] },
  add: (read: SpineRowsRead, row: number) => void,
): Promise<void> {
  const { source, timestamp } = spine
  const columns = entities.flatMap((entity) => entity.columns)
  const fields = [timeField('__row'), { ...timeField(timestamp), nullable: true }, ...columns]
  const names = [`"__row"::DOUBLE`, `${sqlName(timestamp)}::DOUBLE`, ...columns.map(({ name }) => sqlName(name))]
  const query = async (): Promise<void> => {
    let row = 0
    for await (const batch of tables.queryColumns(
      `SELECT ${names.join(', ')} FROM (${source.sql}) ORDER BY "__row"`,
      fields,
    )) {
      signal?.throwIfAborted()
      const [, time, ...rest] = batch.columns
      let at = 0
      const keys = entities.map((entity) => {
        at += entity.columns.length
        return packKeys(entity, rest.slice(at - entity.columns.length, at), batch.rows)
      })
      const values = time.storage === 'number' ? time.values : new Float64Array(0)
      add({ t: values, missing: time.nulls === null ? -1 : time.nulls.indexOf(1), keys }, row)
      row += batch.rows
    }
  }
  try {
    await query()
  } catch (error) {
    signal?.throwIfAborted()
    throw await asSpineError(source.explain(error).then((reason) => Promise.reject(reason)))
  }
}
