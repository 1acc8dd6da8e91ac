import { randomUUID } from 'node:crypto'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { duckType } from '../stores/tables/duckdb-values.ts'
import { sqlName } from '../stores/tables/tables.ts'
import type { OfflineContext, Visibility } from './evaluate-rows.ts'
import type { SweptUnit } from './export-tasks.ts'
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
  const { view, visibility, t, endOffset, signal } = request
  if (t.length === 0) return []
  const keys = `export_keys_${randomUUID().replaceAll('-', '')}`
  try {
    const { entityOf, entities, rowsOf } = await loadEntities(context, keys, request)
    const [oldest, latest] = rangeOf(t)
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
      bound: latest,
      oldest: Math.floor(oldest - new ViewKernel(view).retentionMs),
      onRows: request.onEvents,
      signal,
    })
    const byEntity = orderBy(eventEntity, count, counts)
    const byRow = orderBy(entityOf, entityOf.length, rowsOf)
    const units = unitsOf(byEntity.start, byRow.start, pool.threads)
    const placed = placeRows(entityOf, units)
    return await Promise.all(
      units.map(async ({ firstEntity, endEntity }, u) => {
        const unit = {
          events,
          eventOrder: byEntity.order,
          eventStart: byEntity.start,
          rowOrder: byRow.order,
          rowStart: byRow.start,
          bound: t,
          t,
          placeOf: placed.placeOf,
          firstEntity,
          endEntity,
        }
        const { columns } = (await pool.run({ kind: 'sweep', view: request.number, unit })) as SweptUnit
        request.onRows?.(placed.rows[u].length)
        return { rows: placed.rows[u], columns }
      }),
    )
  } finally {
    await context.tables.dropTable(keys)
  }
}

interface RowEntities {
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
  { spine, view, signal }: ViewRequest,
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
  return { entityOf, entities: known + 1, rowsOf }
}

function rangeOf(t: Float64Array): [number, number] {
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
