import { randomUUID } from 'node:crypto'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { duckType } from '../stores/tables/duckdb-values.ts'
import { sqlName } from '../stores/tables/tables.ts'
import type { OfflineContext, Visibility } from './offline-context.ts'
import type { SweptUnit } from './export-tasks.ts'
import type { SweepUnit } from './sweep-unit.ts'
import { loadEvents } from './load-events.ts'
import { asSpineError } from './spine.ts'
import type { Spine } from './spine.ts'
import type { TaskPool } from './task-pool.ts'

/** Units per thread, so that threads end at about the same time. */
const UNITS_PER_THREAD = 4
/** Rows and events that are worth a task of their own. */
const UNIT_ITEMS_MIN = 20_000

/** Results of a unit: result row i belongs to spine row `rows[i]`, ascending. */
export interface UnitResult {
  readonly rows: Int32Array
  readonly columns: readonly ResultColumn[]
}

export interface ViewRequest {
  readonly spine: Spine
  readonly t: Float64Array
  /** Number of the view among the program's. */
  readonly number: number
  readonly view: CompiledView
  readonly visibility: Visibility
  /** Per row: what it sees (see `Visibility`); default t. */
  readonly bound?: Float64Array
  /** Pinned end of the archive by partition. */
  readonly endOffset: readonly number[]
  readonly onEvents?: (rows: number) => void
  readonly onRows?: (rows: number) => void
  readonly signal?: AbortSignal
}

/** Recomputes a view for every row of a spine. */
export async function evaluateView(
  context: OfflineContext,
  pool: TaskPool,
  request: ViewRequest,
): Promise<UnitResult[]> {
  const { t, bound = t } = request
  if (t.length === 0) return []
  return withEntities(context, request, async (entities) => {
    const units = await loadUnits(context, request, { ...entities, t, bound }, pool.threads)
    return Promise.all(
      units.map(async ({ unit, rows }) => {
        const { columns } = (await pool.run({ kind: 'sweep', view: request.number, unit })) as SweptUnit
        request.onRows?.(rows.length)
        return { rows, columns }
      }),
    )
  })
}

/** Runs `body` with the spine's entities of a view, numbered in a table that is there until then. */
export async function withEntities<T>(
  context: OfflineContext,
  request: Pick<ViewRequest, 'spine' | 'view' | 'signal'>,
  body: (entities: RowEntities) => Promise<T>,
): Promise<T> {
  const keys = `export_keys_${randomUUID().replaceAll('-', '')}`
  try {
    return await body(await loadEntities(context, keys, request))
  } finally {
    await context.tables.dropTable(keys)
  }
}

/** Rows as a sweep takes them, over shared memory. */
export interface EntityRows extends RowEntities {
  /** Per row: what it sees (see `Visibility`), and its evaluation time. */
  readonly bound: Float64Array
  readonly t: Float64Array
}

export interface LoadedUnit {
  readonly unit: SweepUnit
  /** Row numbers, ascending: row i of the unit's result is row `rows[i]`. */
  readonly rows: Int32Array
}

/** The rows of a view with the archived events that they may see, in units of work for so many threads. */
export async function loadUnits(
  context: OfflineContext,
  { view, visibility, endOffset, signal, onEvents }: Omit<ViewRequest, 'spine' | 't' | 'bound' | 'number'>,
  { keys, entities, entityOf, rowsOf, t, bound }: EntityRows,
  threads: number,
): Promise<LoadedUnit[]> {
  const {
    events,
    count,
    entityOf: eventEntity,
    counts,
  } = await loadEvents(context, {
    view,
    visibility,
    keys,
    entities,
    endOffset,
    bound: rangeOf(bound)[1],
    oldest: Math.floor(rangeOf(t)[0] - new ViewKernel(view).retentionMs),
    onRows: onEvents,
    signal,
  })
  const byEntity = orderBy(eventEntity, count, counts)
  const byRow = orderBy(entityOf, entityOf.length, rowsOf)
  const units = unitsOf(byEntity.start, byRow.start, threads)
  const placed = placeRows(entityOf, units)
  return units.map(({ firstEntity, endEntity }, u) => ({
    rows: placed.rows[u],
    unit: {
      events,
      eventOrder: byEntity.order,
      eventStart: byEntity.start,
      rowOrder: byRow.order,
      rowStart: byRow.start,
      bound,
      t,
      placeOf: placed.placeOf,
      firstEntity,
      endEntity,
    },
  }))
}

export interface RowEntities {
  /** Table of the entities: `"__entity"` INTEGER and the entity's columns. */
  readonly keys: string
  /** By row; the number after the last entity where the key is null. */
  readonly entityOf: Int32Array
  /** Entities and one for null keys. */
  readonly entities: number
  /** Rows of each entity. */
  readonly rowsOf: Int32Array
}

/** Numbers the spine's distinct keys in a table, and finds each row's. */
async function loadEntities(
  { tables }: OfflineContext,
  keys: string,
  { spine, view, signal }: Pick<ViewRequest, 'spine' | 'view' | 'signal'>,
): Promise<RowEntities> {
  const { columns } = view.plan.entity
  const names = columns.map(({ name }) => sqlName(name))
  const typed = columns.map(({ name, type }) => `${sqlName(name)}::${duckType(type).toString()} AS ${sqlName(name)}`)
  const present = names.map((name) => `${name} IS NOT NULL`).join(' AND ')
  const entityOf = new Int32Array(new SharedArrayBuffer(4 * spine.rows))
  try {
    await tables.execute(
      `CREATE TABLE ${keys} AS SELECT (row_number() OVER () - 1)::INTEGER AS "__entity", * FROM (SELECT DISTINCT ${typed.join(', ')} FROM (${spine.source.sql}) WHERE ${present})`,
    )
    await tables.scan(
      `SELECT "__row"::INTEGER, coalesce("__entity", -1) FROM (SELECT "__row", ${typed.join(', ')} FROM (${spine.source.sql})) LEFT JOIN ${keys} USING (${names.join(', ')})`,
      (chunk) => {
        const rows = chunk.items(0) as Int32Array
        const found = chunk.items(1) as Int32Array
        for (let i = 0; i < chunk.rows; i++) entityOf[rows[i]] = found[i]
      },
      signal,
    )
  } catch (error) {
    signal?.throwIfAborted()
    throw await asSpineError(spine.source.explain(error).then((reason) => Promise.reject(reason)))
  }
  let known = 0
  for (let row = 0; row < entityOf.length; row++) if (entityOf[row] >= known) known = entityOf[row] + 1
  const rowsOf = new Int32Array(known + 1)
  for (let row = 0; row < entityOf.length; row++) {
    if (entityOf[row] < 0) entityOf[row] = known
    rowsOf[entityOf[row]]++
  }
  return { keys, entityOf, entities: known + 1, rowsOf }
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

/** Item numbers by entity, each entity's in their order: a counting sort. */
function orderBy(entityOf: Int32Array, count: number, counts: Int32Array): { order: Int32Array; start: Int32Array } {
  const start = new Int32Array(new SharedArrayBuffer(4 * (counts.length + 1)))
  for (let entity = 0; entity < counts.length; entity++) start[entity + 1] = start[entity] + counts[entity]
  const next = Int32Array.from(start)
  const order = new Int32Array(new SharedArrayBuffer(4 * count))
  for (let i = 0; i < count; i++) order[next[entityOf[i]]++] = i
  return { order, start }
}

interface EntityRange {
  readonly firstEntity: number
  readonly endEntity: number
}

/** Ranges of entities with about as many rows and events each; ranges without rows are left out. */
function unitsOf(eventStart: Int32Array, rowStart: Int32Array, threads: number): EntityRange[] {
  const entities = rowStart.length - 1
  const items = eventStart[entities] + rowStart[entities]
  const size = Math.max(UNIT_ITEMS_MIN, Math.ceil(items / (threads * UNITS_PER_THREAD)))
  const units: EntityRange[] = []
  let firstEntity = 0
  for (let entity = 1; entity <= entities; entity++) {
    const held = eventStart[entity] - eventStart[firstEntity] + rowStart[entity] - rowStart[firstEntity]
    if (held < size && entity < entities) continue
    if (rowStart[entity] > rowStart[firstEntity]) units.push({ firstEntity, endEntity: entity })
    firstEntity = entity
  }
  return units
}

/** Each unit's rows, ascending, and each row's place among them. */
function placeRows(entityOf: Int32Array, units: readonly EntityRange[]): { placeOf: Int32Array; rows: Int32Array[] } {
  const unitOf = new Int32Array(units.length === 0 ? 0 : units[units.length - 1].endEntity)
  units.forEach(({ firstEntity, endEntity }, u) => unitOf.fill(u, firstEntity, endEntity))
  const counts = new Int32Array(units.length)
  const placeOf = new Int32Array(new SharedArrayBuffer(4 * entityOf.length))
  for (let row = 0; row < entityOf.length; row++) placeOf[row] = counts[unitOf[entityOf[row]]]++
  const rows = Array.from(counts, (count) => new Int32Array(new SharedArrayBuffer(4 * count)))
  for (let row = 0; row < entityOf.length; row++) rows[unitOf[entityOf[row]]][placeOf[row]] = row
  return { placeOf, rows }
}
