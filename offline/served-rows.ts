import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { bucketOf, entityKeysOfBatch } from '../features/values/entity-key.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { sqlName } from '../stores/tables/tables.ts'
import { failOffline } from './errors.ts'
import { loadUnits, withEntities } from './evaluate-view.ts'
import type { RowEntities, ViewRequest } from './evaluate-view.ts'
import type { OfflineContext } from './offline-context.ts'
import type { NewestOfUnit } from './export-tasks.ts'
import type { KeyedLogClock, ServedClock } from './served-clock.ts'
import type { TaskPool } from './task-pool.ts'

/** A null key has no state: a request reads it in this bucket's place. */
const NULL_KEY_BUCKET = 0

/** What rows see by the served clock. */
export interface ServedRows {
  /** By view, then row: offsets below it were in the states. */
  readonly bounds: readonly Float64Array[]
  /** By row: max(t, newest τ that it sees in any view + 1), as for a request. */
  readonly t: Float64Array
}

/** What an uncached request for each row at its time saw, and when it was evaluated. One request per view. TM_SPINE_TOO_EARLY. */
export async function servedRows(
  context: OfflineContext,
  pool: TaskPool,
  clock: ServedClock,
  requests: readonly Omit<ViewRequest, 'visibility'>[],
): Promise<ServedRows> {
  const bounds: Float64Array[] = []
  const t = shared(requests[0]?.t ?? new Float64Array(0))
  for (const request of requests) {
    await withEntities(context, request, async (entities) => {
      const bound = await boundsOf(context, clock, request, entities)
      bounds.push(bound)
      const rows = { ...entities, t: request.t, bound }
      const units = await loadUnits(context, { ...request, visibility: 'offset' }, rows, pool.threads)
      for (const { unit, rows: numbers } of units) {
        const { newest } = (await pool.run({ kind: 'newest', view: request.number, unit })) as NewestOfUnit
        numbers.forEach((row, at) => {
          if (newest[at] >= t[row]) t[row] = newest[at] + 1
        })
      }
    })
  }
  return { bounds, t }
}

function shared(values: Float64Array): Float64Array {
  const copy = new Float64Array(new SharedArrayBuffer(values.byteLength))
  copy.set(values)
  return copy
}

async function boundsOf(
  context: OfflineContext,
  { logs }: ServedClock,
  { view, t }: Omit<ViewRequest, 'visibility'>,
  entities: RowEntities,
): Promise<Float64Array> {
  const log = logs.get(keyedLogOf(view))!
  const covers: boolean[] = []
  for (const set of log.sets) covers.push((await context.registry.viewSets.read(set)).has(view.version))
  const buckets = await bucketsOfEntities(context, view, entities)
  const bound = new Float64Array(new SharedArrayBuffer(8 * t.length))
  for (let row = 0; row < t.length; row++) {
    const bucket = buckets[entities.entityOf[row]]
    const change = log.changes[bucket].at(t[row])
    if (change === null || !covers[change.set]) throw tooEarly(view, { log, covers }, { row, bucket, t: t[row] })
    bound[row] = change.nextOffset
  }
  return bound
}

function tooEarly(
  { plan: { name }, version }: CompiledView,
  { log, covers }: { log: KeyedLogClock; covers: readonly boolean[] },
  { row, bucket, t }: { row: number; bucket: number; t: number },
): Error {
  const since = log.changes[bucket].firstAfter(t, ({ set }) => covers[set])?.time ?? null
  const then = since === null ? '' : `, only from ${new Date(since).toISOString()} on`
  return failOffline(
    'TM_SPINE_TOO_EARLY',
    `spine row ${row + 1} is at ${new Date(t).toISOString()}, when view ${name} (version ${version.slice(0, 12)}) was not live${then}: no request got a vector then; leave such rows out, or use --as-of arrival`,
    { details: { row, view: name, version, liveSince: since } },
  )
}

/** By number of an entity; the last is for null keys. */
async function bucketsOfEntities(
  { tables, buckets }: OfflineContext,
  { plan: { entity } }: CompiledView,
  { keys, entities }: RowEntities,
): Promise<Int32Array> {
  const numbers = new Int32Array(entities).fill(NULL_KEY_BUCKET)
  const names = entity.columns.map(({ name }) => sqlName(name)).join(', ')
  const { rows, columns } = await tables.queryAll(`SELECT ${names} FROM ${keys} ORDER BY "__entity"`, entity.columns)
  const { distinct, keyOf } = entityKeysOfBatch(entity, columns, rows)
  for (let row = 0; row < rows; row++) numbers[row] = bucketOf(distinct[keyOf[row]], buckets)
  return numbers
}
