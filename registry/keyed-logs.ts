import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { sourceLogName } from '../features/plan/source-plan.ts'
import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'

/** Tidemark's own log of one source's events by one entity's key, and the view versions that are to be applied from it. */
export interface KeyedLog {
  /** See `keyedLogName`. */
  readonly name: string
  readonly source: SourcePlan
  readonly entity: EntityPlan
  readonly views: readonly CompiledView[]
}

/** The keyed log that feeds a view. */
export function keyedLogOf({ plan }: Pick<CompiledView, 'plan'>): string {
  return keyedLogName(plan.source, plan.entity)
}

/** `<source>.<entity>`, for later versions of the source `<source>.<version>.<entity>`. */
export function keyedLogName(source: SourcePlan, entity: EntityPlan): string {
  return `${sourceLogName(source)}.${entity.name}`
}

/** Views by the keyed log that feeds them. */
export function groupByKeyedLog(views: Iterable<CompiledView>): KeyedLog[] {
  const logs = new Map<string, { name: string; source: SourcePlan; entity: EntityPlan; views: CompiledView[] }>()
  for (const view of views) {
    const name = keyedLogOf(view)
    const { source, entity } = view.plan
    const log = logs.get(name) ?? { name, source, entity, views: [] }
    logs.set(name, log)
    log.views.push(view)
  }
  return [...logs.values()]
}
