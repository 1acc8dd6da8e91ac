import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'
import type { Column } from '../features/values/column.ts'
import { sqlName, sqlText } from '../stores/tables/tables.ts'
import { packKeys } from './batch-keys.ts'
import { appendEvents, arenaColumns, resetArena } from './event-arena.ts'
import type { Appended, EventArena } from './event-arena.ts'
import { emptyColumn } from './empty-column.ts'
import type { EventFile } from './event-files.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import { entitiesOf, wantedRows } from './load-row-group.ts'
import type { EventFilter, FieldBound } from './load-row-group.ts'
import type { LoadedEvents } from './sweep-unit.ts'
import type { TaskPool } from './task-pool.ts'

/** Events of some entities, wherever they lie. */
export interface EventRequest {
  readonly view: CompiledView
  readonly visibility: Visibility
  readonly files: readonly EventFile[]
  /** Of the arena. */
  readonly fields: readonly FieldPlan[]
  /** Bounds of single files are added. */
  readonly filter: EventFilter
  /** Whether the arena has room for everything in the files. */
  readonly takesRowGroups: boolean
  readonly onRows?: (rows: number) => void
  readonly signal?: AbortSignal
}

export const SEEN: Readonly<Record<Visibility, string>> = {
  arrival: '__arrival',
  'event-time': '__event_time',
  offset: '__offset',
}

export interface EventsInArena {
  readonly events: LoadedEvents
  /** Where the events lie, in the order of the archive. */
  readonly pieces: readonly Appended[]
}

/** Reads the wanted events into an arena, in no particular order; threads read row groups, DuckDB what they cannot. */
export async function loadEvents(
  context: OfflineContext,
  pool: TaskPool,
  request: EventRequest,
  arena: EventArena,
): Promise<EventsInArena> {
  resetArena(arena)
  const appended = await readEvents(context, pool, request, { arena, counts: null })
  const columns = arenaColumns(
    arena,
    appended.flatMap(({ parts }) => parts),
  )
  const byName = new Map(arena.fields.map((field, i) => [field.name, columns[i]]))
  return { events: eventsOf(request, byName), pieces: appended }
}

/** How many wanted events each entity has. */
export async function countEvents(
  context: OfflineContext,
  pool: TaskPool,
  request: EventRequest,
  entities: number,
): Promise<Int32Array> {
  const counts = new Int32Array(new SharedArrayBuffer(4 * entities))
  await readEvents(context, pool, request, { arena: null, counts })
  return counts
}

interface Target {
  readonly arena: EventArena | null
  readonly counts: Int32Array | null
}

async function readEvents(
  context: OfflineContext,
  pool: TaskPool,
  request: EventRequest,
  target: Target,
): Promise<Appended[]> {
  const { view, files, takesRowGroups, signal, onRows } = request
  const { entity } = view.plan
  const tasks: Promise<Appended[]>[] = []
  for (const file of files) {
    signal?.throwIfAborted()
    const filter = fileFilter(request, file)
    if (file.rowGroups === null) {
      tasks.push(queryEvents(context, request, { file, filter, target }))
      continue
    }
    for (const { keys, chunks } of file.rowGroups) {
      const load = { path: file.path, entity, keys, fields: chunks, filter, takesRowGroups, ...target }
      tasks.push(
        pool.run({ kind: 'load', load }).then((appended) => {
          onRows?.(appended.wanted)
          return [appended]
        }),
      )
    }
  }
  return (await settled(tasks)).flat()
}

/** All at an end, then the first failure: nothing may still write to the arena. */
async function settled<T>(tasks: readonly Promise<T>[]): Promise<T[]> {
  return (await Promise.allSettled(tasks)).map((task) => {
    if (task.status === 'rejected') throw task.reason
    return task.value
  })
}

/** The end of the archive as pinned bounds the last file: its offsets come after the arena's fields. */
function fileFilter({ filter, fields }: EventRequest, { end }: EventFile): EventFilter {
  return end === null ? filter : { ...filter, bounds: [...filter.bounds, { field: fields.length, below: end }] }
}

async function queryEvents(
  { tables }: OfflineContext,
  { view, fields, onRows, signal }: EventRequest,
  { file, filter, target }: { file: EventFile; filter: EventFilter; target: Target },
): Promise<Appended[]> {
  const { entity } = view.plan
  const read = file.end === null ? fields : [...fields, timeField('__offset')]
  const columns = [...entity.columns, ...read]
  const conditions = filter.bounds.flatMap(({ field, below, from }) => boundSql(read[field], { below, from }))
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`
  const sql = `SELECT ${columns.map(selectSql).join(', ')} FROM read_parquet(${sqlText(file.path)})${where}`
  const appended: Appended[] = []
  for await (const batch of tables.queryColumns(sql, columns)) {
    signal?.throwIfAborted()
    const keys = packKeys(entity, batch.columns.slice(0, entity.columns.length), batch.rows)
    const entities = entitiesOf(keys, filter)
    const rows = wantedRows(entities, [], () => new Float64Array(0))
    if (target.counts !== null) for (const row of rows) target.counts[entities[row]]++
    if (target.arena !== null)
      appended.push(
        appendEvents(target.arena, entities, batch.columns.slice(entity.columns.length, columns.length), rows),
      )
    onRows?.(rows.length)
  }
  return appended
}

function boundSql({ name }: FieldPlan, { below, from }: Omit<FieldBound, 'field'>): string[] {
  const conditions: string[] = []
  if (below !== undefined && below < Infinity) conditions.push(`${sqlName(name)} < ${below}`)
  if (from !== undefined && from > -Infinity) conditions.push(`${sqlName(name)} >= ${from}`)
  return conditions
}

function selectSql({ name, type }: FieldPlan): string {
  return COLUMN_STORAGE[type.kind] === 'number' ? `${sqlName(name)}::DOUBLE` : sqlName(name)
}

export function timeField(name: string): FieldPlan {
  return { name, type: { kind: 'timestamp' }, nullable: false, nonFinite: 'reject' }
}

/** Source columns that the view reads (all of them where it has functions), then times. An event's position shows in the order of the archive. */
export function fieldsToRead({ plan }: CompiledView, visibility: Visibility): FieldPlan[] {
  const names = new Set<string>()
  for (const { aggregation, bucketBy } of plan.features) {
    if (aggregation.input !== null && 'column' in aggregation.input) names.add(aggregation.input.column)
    if (bucketBy !== null) names.add(bucketBy.column)
  }
  const fields = [
    ...plan.source.fields.filter(({ name }) => plan.functionCount > 0 || names.has(name)),
    timeField('__event_time'),
  ]
  if (visibility !== 'event-time') fields.push(timeField('__arrival'))
  if (visibility === 'offset') fields.push(timeField('__offset'))
  return fields
}

function eventsOf({ view, visibility }: EventRequest, loaded: ReadonlyMap<string, Column>): LoadedEvents {
  const numbers = (name: string): Float64Array => {
    const column = loaded.get(name)
    return column?.storage === 'number' ? column.values : new Float64Array(0)
  }
  const eventTime = numbers('__event_time')
  const arrival = visibility === 'event-time' ? eventTime : numbers('__arrival')
  return {
    columns: view.plan.source.fields.map((field) => loaded.get(field.name) ?? emptyColumn(field.type)),
    eventTime,
    arrival,
    seen: visibility === 'offset' ? numbers('__offset') : arrival,
  }
}
