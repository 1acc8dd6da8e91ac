import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { ViewSets } from '../registry/view-sets.ts'
import type { EntityRead, EntityReadResult, OnlineStore } from '../stores/online/online-store.ts'
import { failInference } from './errors.ts'

/**
 * Reads states whose view versions are in the live sets of their buckets: only then does a bucket's marker say what they were computed from.
 * `reads[i]` is for `views[i % views.length]`. TM_SERVICE_NOT_READY: a version is not live (its history is being replayed, or it has left).
 */
export async function readLive(
  online: OnlineStore,
  sets: ViewSets,
  views: readonly { readonly view: CompiledView }[],
  reads: readonly EntityRead[],
): Promise<EntityReadResult[]> {
  let results = await online.read(reads)
  let met = true
  for (const { marker } of results) {
    if (marker === null || sets.known(marker.views) !== undefined) continue
    await sets.read(marker.views)
    met = false
  }
  if (!met) results = await online.read(reads)
  for (let i = 0; i < results.length; i++) {
    const { marker } = results[i]
    const { view } = views[i % views.length]
    if (marker !== null && sets.known(marker.views)?.has(view.version) === true) continue
    throw failInference(
      'TM_SERVICE_NOT_READY',
      `view ${view.plan.name} (version ${view.version.slice(0, 12)}) is not live: its history has yet to be replayed; \`tidemark start\` or \`tidemark wait\` does that, \`tidemark status\` shows how far it is`,
      { details: { view: view.plan.name, version: view.version } },
    )
  }
  return results
}

/**
 * The same at once; null where the store cannot, a set of views has not been met before, or a version is not live.
 */
export function readLiveNow(
  online: OnlineStore,
  sets: ViewSets,
  views: readonly { readonly view: CompiledView }[],
  reads: readonly EntityRead[],
): EntityReadResult[] | null {
  const results = online.readNow?.(reads)
  if (results === undefined) return null
  for (let i = 0; i < results.length; i++) {
    const { marker } = results[i]
    if (marker === null || sets.known(marker.views)?.has(views[i % views.length].view.version) !== true) return null
  }
  return results
}
