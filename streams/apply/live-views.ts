import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import { keyedLogOf } from '../../registry/keyed-logs.ts'
import type { FillProgress } from '../feeds/keyed-log-fill.ts'
import { isHistoryRead } from '../ingest/ingest-checkpoint.ts'
import { FedLogs } from '../feeds/source-feeds.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** How far a view version is on its way into the live set of all buckets. */
export interface ViewProgress {
  readonly view: string
  readonly version: string
  readonly keyedLog: string
  /** In the live set of every bucket. */
  readonly live: boolean
  /** Records of its keyed log; while that is being filled, events of the source's other keyed logs. */
  readonly records: number
  readonly recordsTotal: number
  /** Its keyed log is being filled with the source's history, which comes before the replay. */
  readonly filling: boolean
}

/** Progress of every reachable view version. */
export async function viewProgress(context: StreamContext): Promise<ViewProgress[]> {
  const progress: ViewProgress[] = []
  const keyedLogs = await context.registry.keyedLogs()
  const filling = new Set(await new FedLogs(context.log).filling(keyedLogs))
  for (const keyedLog of keyedLogs)
    for (const view of keyedLog.views)
      progress.push(filling.has(keyedLog) ? await fillingOf(context, view) : await progressOf(context, view))
  return progress
}

async function fillingOf({ metadata }: StreamContext, view: CompiledView): Promise<ViewProgress> {
  const keyedLog = keyedLogOf(view)
  const held = await metadata.readProgress<FillProgress>('fill', keyedLog)
  return {
    view: view.plan.name,
    version: view.version,
    keyedLog,
    live: false,
    records: held?.events ?? 0,
    recordsTotal: held?.eventsTotal ?? 0,
    filling: true,
  }
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
  return { view: view.plan.name, version, keyedLog, live, records, recordsTotal, filling: false }
}

/** Whether the live set of every bucket covers a view version, and the history of its source's version is read. */
export async function isLive(context: StreamContext, view: CompiledView): Promise<boolean> {
  if (!(await isHistoryRead(context, view.plan.source))) return false
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
