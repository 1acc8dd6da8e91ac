import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { createResultColumn, resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import { StateTable } from '../features/kernel/state-table.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { bucketOf, entityKeyBytes } from '../features/values/entity-key.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import { entityEvents } from './entity-events.ts'
import type { EntityEvent } from './entity-events.ts'
import type { OfflineContext } from './offline-context.ts'
import { recomputedCell, recomputeView, stampOffset } from './recompute-served.ts'
import type { Trial } from './recompute-served.ts'

/** How many of an entity's events before and after the stamp are tried as the limit of what was seen. */
const EVENTS_TRIED = 8

/** The cells that a row got from one view: their place in the vector, and the feature's in the view. */
type Places = readonly { readonly cell: number; readonly feature: number }[]

export interface ExplainContext extends OfflineContext {
  /** Where it is at hand, stored states are held against the archive. */
  readonly online?: OnlineStore
}

/** Why a view's values in a served row are not what the archive gives: recomputes them under one changed assumption after the other. */
export async function explainMismatch(
  context: ExplainContext,
  service: CompiledService,
  view: CompiledView,
  row: ServedRow,
): Promise<string> {
  const places = placesOf(service, view)
  const stored = await storedStateDiffers(context, view, row)
  if (stored !== null) return stored
  const other = await otherVersion(context, service, view, row)
  if (other !== null) return other
  const events = await entityEvents(context, view, row)
  const tried = trialsOf(view, row, events)
  const columns = await recomputeView(
    context,
    view,
    tried.map(({ trial }) => trial),
  )
  const found = tried.find((_, at) => matches(row, places, (feature) => recomputedCell(columns, feature, at)))
  if (found !== undefined) return found.cause
  return 'the stored state it was computed from differed: no other set of events near its position, evaluation time or registered version of the view gives these bits'
}

function placesOf(service: CompiledService, view: CompiledView): Places {
  return service.plan.features.flatMap(({ viewVersion, feature }, cell) =>
    viewVersion === view.version
      ? [{ cell, feature: view.plan.features.findIndex(({ name }) => name === feature) }]
      : [],
  )
}

function matches(row: ServedRow, places: Places, cellOf: (feature: number) => Uint8Array): boolean {
  return places.every(({ cell, feature }) => Buffer.compare(cellOf(feature), row.cells[cell]) === 0)
}

/** Holds the state that is stored now against what the archive gives at its marker: it may still be the damaged one. */
async function storedStateDiffers(context: ExplainContext, view: CompiledView, row: ServedRow): Promise<string | null> {
  const components = view.plan.entity.columns.map(({ name }) => row.entity[name] ?? null)
  if (context.online === undefined || components.includes(null)) return null
  const key = entityKeyBytes(components)
  const bucket = bucketOf(key, context.buckets)
  const [{ marker, states }] = await context.online.read([
    { keyedLog: keyedLogOf(view), bucket, keys: [{ view: view.version, key }] },
  ])
  const [state] = states
  if (marker === null || state === null) return null
  const table = new StateTable(new ViewKernel(view))
  const slot = table.open()
  try {
    table.decode(slot, state)
  } catch {
    return `the stored state differs: the one in bucket ${bucket} cannot be decoded; rebuild the online store from the archive`
  }
  const t = Math.max(row.evaluatedAt, table.newestTau(slot) + 1)
  const out = view.plan.features.map((feature) => createResultColumn(feature.type, 1))
  table.evaluate(slot, t, out, 0)
  const columns = await recomputeView(context, view, [{ row, bound: marker.nextOffset, t }])
  const isSame = out.every(
    (column, feature) =>
      Buffer.compare(
        encodeCell(resultValue(column, 0), STATUS_NAMES[column.statuses[0]]),
        recomputedCell(columns, feature, 0),
      ) === 0,
  )
  return isSame
    ? null
    : `the stored state differs: the one in bucket ${bucket} is not what the archive gives up to offset ${marker.nextOffset}; rebuild the online store from the archive`
}

async function otherVersion(
  context: ExplainContext,
  service: CompiledService,
  view: CompiledView,
  row: ServedRow,
): Promise<string | null> {
  const versions = await context.metadata.db
    .selectFrom('versions')
    .select('version')
    .where('kind', '=', 'view')
    .where('name', '=', view.plan.name)
    .where('version', '!=', view.version)
    .execute()
  for (const { version } of versions) {
    const other = await context.registry.view(version)
    if (keyedLogOf(other) !== keyedLogOf(view)) continue
    const places = service.plan.features.flatMap(({ viewVersion, feature }, cell) =>
      viewVersion === view.version
        ? [{ cell, feature: other.plan.features.findIndex(({ name }) => name === feature) }]
        : [],
    )
    if (places.some(({ feature }) => feature < 0)) continue
    const trial = { row, bound: stampOffset(row, view), t: row.evaluatedAt }
    const columns = await recomputeView(context, other, [trial])
    if (matches(row, places, (feature) => recomputedCell(columns, feature, 0)))
      return `another definition served it: these are the bits of version ${version} of view ${view.plan.name}`
  }
  return null
}

function trialsOf(
  view: CompiledView,
  row: ServedRow,
  events: readonly EntityEvent[],
): { readonly trial: Trial; readonly cause: string }[] {
  const bound = stampOffset(row, view)
  const { evaluatedAt } = row
  const before = events.filter(({ offset }) => offset < bound)
  const after = events.filter(({ offset, tau }) => offset >= bound && tau < evaluatedAt).slice(0, EVENTS_TRIED)
  const newestTau = before.reduce((newest, { tau }) => Math.max(newest, tau), -Infinity)
  const fewer = before
    .slice(-EVENTS_TRIED)
    .reverse()
    .map(({ offset }, i) => ({
      trial: { row, bound: offset, t: evaluatedAt },
      cause: `other events than its stamp says: these are the bits without the entity's last ${i + 1} of ${before.length} records below offset ${bound}`,
    }))
  const more = after.map(({ offset }, i) => ({
    trial: { row, bound: offset + 1, t: evaluatedAt },
    cause: `other events than its stamp says: these are the bits with ${i + 1} later records of the entity, up to offset ${offset}`,
  }))
  const hops = new Set(view.plan.features.flatMap(({ window }) => (window.kind === 'lifetime' ? [] : [window.hopMs])))
  const times = [...hops, 1].flatMap((ms) => [ms, -ms])
  const moved = times
    .filter((ms) => evaluatedAt + ms > newestTau)
    .map((ms) => ({
      trial: { row, bound, t: evaluatedAt + ms },
      cause: `another evaluation time: these are the bits ${Math.abs(ms)} ms ${ms < 0 ? 'before' : 'after'} its evaluatedAt`,
    }))
  return [...fewer, ...more, ...moved]
}
