import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

/** How far a view version is on its way into the live set of all buckets, in records of its keyed log. */
export interface ViewProgress {
  readonly view: string
  readonly version: string
  readonly keyedLog: string
  /** In the live set of every bucket. */
  readonly live: boolean
  readonly records: number
  readonly recordsTotal: number
}

/** Progress of every reachable view version. */
export async function viewProgress(context: StreamContext): Promise<ViewProgress[]> {
  const progress: ViewProgress[] = []
  for (const { views } of await context.registry.keyedLogs())
    for (const view of views) progress.push(await progressOf(context, view))
  return progress
}

async function progressOf(context: StreamContext, view: CompiledView): Promise<ViewProgress> {
  const keyedLog = keyedLogOf(view)
  const { version } = view
  const live = await isLive(context, view)
  let records = 0
  let recordsTotal = 0
  const exists = (await context.log.topic(keyedTopic(keyedLog))) !== null
  for (let partition = 0; exists && partition < context.partitions; partition++) {
    const end = await context.log.endOffset(keyedTopic(keyedLog), partition)
    const [own] = await context.online.markers(keyedLog, [partition], version)
    const [marker] = await context.online.markers(keyedLog, [partition])
    const isCovered = (await context.registry.viewSets.read(marker?.views ?? '')).has(version)
    recordsTotal += end
    records += isCovered ? end : Math.min(own?.nextOffset ?? 0, end)
  }
  return { view: view.plan.name, version, keyedLog, live, records, recordsTotal }
}

/** Whether the live set of every bucket covers a view version. */
export async function isLive(context: StreamContext, view: CompiledView): Promise<boolean> {
  const buckets = Array.from({ length: context.buckets }, (_, bucket) => bucket)
  const markers = await context.online.markers(keyedLogOf(view), buckets)
  for (const hash of new Set(markers.map((marker) => marker?.views ?? ''))) {
    if (!(await context.registry.viewSets.read(hash)).has(view.version)) return false
  }
  return true
}

/** Lets each service's name read its registered version once all of that version's views are live. Returns how many moved. */
export async function moveServingAliases(context: StreamContext): Promise<number> {
  const { registry } = context
  let moved = 0
  for (const { name, registered, serving } of await registry.serviceAliases()) {
    if (registered === serving) continue
    const { plan } = await registry.service(registered)
    const versions = [...new Set(plan.features.map(({ viewVersion }) => viewVersion))]
    const live = await Promise.all(versions.map(async (version) => isLive(context, await registry.view(version))))
    if (!live.every(Boolean)) continue
    if (await registry.moveServingAlias(name, registered, Math.floor(context.log.now()))) moved++
  }
  return moved
}
