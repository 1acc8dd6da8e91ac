import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { bytesPerEvent, createArena } from './event-arena.ts'
import type { Appended } from './event-arena.ts'
import { eventFiles } from './event-files.ts'
import type { EventFile } from './event-files.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import { countEvents, fieldsToRead, loadEvents, SEEN } from './load-events.ts'
import type { EventRequest } from './load-events.ts'
import type { EventFilter, FieldBound } from './load-row-group.ts'
import { planPasses } from './plan-passes.ts'
import type { EntityRange } from './plan-passes.ts'
import type { RowEntities } from './row-entities.ts'
import type { SweepUnit } from './sweep-unit.ts'
import type { TaskPool } from './task-pool.ts'

/** Units per thread, so that threads end at about the same time. */
const UNITS_PER_THREAD = 4
/** Rows and events that are worth a task of their own. */
const UNIT_ITEMS_MIN = 20_000

export interface ViewRequest {
  readonly view: CompiledView
  readonly visibility: Visibility
  readonly entities: RowEntities
  /** Per row, in shared memory: its evaluation time, and what it sees (see `Visibility`), the same array or another. */
  readonly t: Float64Array
  readonly bound: Float64Array
  /** Pinned end of the archive by partition. */
  readonly endOffset: readonly number[]
  /** Bytes of events to hold at once; one entity's are held whatever they take. */
  readonly eventBytesMax: number
  /** Events that take no more bytes may stay in memory when all units have run; default 0. */
  readonly keepBytesMax?: number
  readonly onEvents?: (rows: number) => void
  readonly signal?: AbortSignal
}

/**
 * The rows of a view with the archived events that they may see, in units of work; every row is in one. As many entities are loaded at once as the budget
 * holds, and all of their units run before the next are loaded. Returns the bytes of events that stay in memory: all events, or none.
 */
export async function forEachUnit(
  context: OfflineContext,
  pool: TaskPool,
  request: ViewRequest,
  run: (unit: SweepUnit, isKept: boolean) => Promise<void>,
): Promise<number> {
  const { view, visibility, entities, t, bound, eventBytesMax, signal } = request
  if (t.length === 0) return 0
  const fields = fieldsToRead(view, visibility)
  const files = await eventFiles(context, view, fields, request.endOffset)
  const bounds = boundsOf(
    request,
    fields.map(({ name }) => name),
  )
  const requestOf = (range: EntityRange, read: readonly EventFile[], room: number): EventRequest => ({
    view,
    visibility,
    files: read,
    fields,
    filter: filterOf(entities, bounds, range),
    takesRowGroups: read.reduce((sum, file) => sum + file.events, 0) <= room,
    onRows: request.onEvents,
    signal,
  })
  const passes = await planPasses(files, entities, {
    eventsMax: Math.max(1, Math.floor(eventBytesMax / bytesPerEvent(fields))),
    count: (range, read) =>
      countEvents(context, pool, { ...requestOf(range, read, 0), onRows: undefined }, entities.entities),
  })
  const capacity = Math.max(0, ...passes.map(({ events }) => events))
  const arenaBytes = capacity * bytesPerEvent(fields)
  const isKept = passes.length === 1 && arenaBytes <= (request.keepBytesMax ?? 0)
  const arena = createArena(fields, capacity)
  const orderRows = () => orderBy(entities.entityOf, [{ at: 0, events: entities.entityOf.length }], entities.entities)
  let byRow: ReturnType<typeof orderBy> | null = null
  for (const pass of passes) {
    const loading = loadEvents(context, pool, requestOf(pass, pass.files, pass.events), arena)
    // While threads load.
    byRow ??= orderRows()
    const { events, pieces } = await loading
    const byEntity = orderBy(arena.entityOf, pieces, entities.entities)
    const rows = { rowOrder: byRow.order, rowStart: byRow.start, bound, t }
    const ranges = unitsOf(byEntity.start, byRow.start, pass, pool.threads)
    const done = await Promise.allSettled(
      ranges.map((range) =>
        run({ events, eventOrder: byEntity.order, eventStart: byEntity.start, ...rows, ...range }, isKept),
      ),
    )
    for (const unit of done) if (unit.status === 'rejected') throw unit.reason
    signal?.throwIfAborted()
  }
  return isKept ? arenaBytes : 0
}

function boundsOf({ view, visibility, bound, t }: ViewRequest, names: readonly string[]): FieldBound[] {
  const oldest = Math.floor(rangeOf(t)[0] - new ViewKernel(view).retentionMs)
  const bounds: FieldBound[] = [{ field: names.indexOf(SEEN[visibility]), below: rangeOf(bound)[1] }]
  if (oldest === -Infinity) return bounds
  bounds.push({ field: names.indexOf('__event_time'), from: oldest })
  if (visibility !== 'event-time') bounds.push({ field: names.indexOf('__arrival'), from: oldest })
  return bounds
}

function filterOf(entities: RowEntities, bounds: readonly FieldBound[], range: EntityRange): EventFilter {
  return { keys: entities.keys.keys, entityOfKey: entities.entityOfKey, ...range, bounds }
}

/** Least and greatest. */
export function rangeOf(t: Float64Array): [number, number] {
  let least = Infinity
  let greatest = -Infinity
  for (let row = 0; row < t.length; row++) {
    if (t[row] < least) least = t[row]
    if (t[row] > greatest) greatest = t[row]
  }
  return [least, greatest]
}

/** Item numbers by entity, each entity's in the order of the pieces, those without an entity left out: a counting sort. */
function orderBy(
  entityOf: Int32Array,
  pieces: readonly Pick<Appended, 'at' | 'events'>[],
  entities: number,
): { order: Int32Array; start: Int32Array } {
  const start = new Int32Array(new SharedArrayBuffer(4 * (entities + 1)))
  let count = 0
  for (const { at, events } of pieces) {
    for (let i = at; i < at + events; i++) {
      if (entityOf[i] < 0) continue
      start[entityOf[i] + 1]++
      count++
    }
  }
  for (let entity = 0; entity < entities; entity++) start[entity + 1] += start[entity]
  const next = Int32Array.from(start)
  const order = new Int32Array(new SharedArrayBuffer(4 * count))
  for (const { at, events } of pieces)
    for (let i = at; i < at + events; i++) if (entityOf[i] >= 0) order[next[entityOf[i]]++] = i
  return { order, start }
}

/** Ranges of a pass's entities with about as many rows and events each; ranges without rows are left out. */
function unitsOf(
  eventStart: Int32Array,
  rowStart: Int32Array,
  { firstEntity, endEntity }: EntityRange,
  threads: number,
): EntityRange[] {
  const itemsOf = (from: number, to: number): number =>
    eventStart[to] - eventStart[from] + rowStart[to] - rowStart[from]
  const size = Math.max(UNIT_ITEMS_MIN, Math.ceil(itemsOf(firstEntity, endEntity) / (threads * UNITS_PER_THREAD)))
  const units: EntityRange[] = []
  let first = firstEntity
  for (let entity = firstEntity + 1; entity <= endEntity; entity++) {
    if (itemsOf(first, entity) < size && entity < endEntity) continue
    if (rowStart[entity] > rowStart[first]) units.push({ firstEntity: first, endEntity: entity })
    first = entity
  }
  return units
}
