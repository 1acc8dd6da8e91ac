import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { failOffline } from './errors.ts'
import { forEachUnit } from './evaluate-view.ts'
import type { ViewRequest } from './evaluate-view.ts'
import type { OfflineContext } from './offline-context.ts'
import type { KeyedLogClock, ServedClock } from './served-clock.ts'
import type { RowEntities } from './row-entities.ts'
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
  requests: readonly ViewRequest[],
): Promise<ServedRows> {
  const bounds: Float64Array[] = []
  const t = shared(requests[0]?.t ?? new Float64Array(0))
  for (const [view, request] of requests.entries()) {
    const bound = await boundsOf(context, clock, request)
    bounds.push(bound)
    await forEachUnit(context, pool, { ...request, visibility: 'offset', bound }, async (unit) => {
      const { rows, newest } = await pool.run({ kind: 'newest', view, unit })
      rows.forEach((row, at) => {
        if (newest[at] >= t[row]) t[row] = newest[at] + 1
      })
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
  { view, t, entities }: ViewRequest,
): Promise<Float64Array> {
  const log = logs.get(keyedLogOf(view))!
  const covers: boolean[] = []
  for (const set of log.sets) covers.push((await context.registry.viewSets.read(set)).has(view.version))
  const buckets = bucketsOfEntities(context.buckets, entities)
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
function bucketsOfEntities(buckets: number, { keys, entityOfKey, entities }: RowEntities): Int32Array {
  const numbers = new Int32Array(entities).fill(NULL_KEY_BUCKET)
  entityOfKey.forEach((entity, key) => (numbers[entity] = keys.bucketOf(key, buckets)))
  return numbers
}
