import { createResultColumn } from '../features/aggregation/result-column.ts'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import type { StateParts } from '../features/kernel/state-parts.ts'
import { FunctionFailures } from '../features/kernel/function-failures.ts'
import { StateTable } from '../features/kernel/state-table.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import type { Registry } from '../registry/registry.ts'

/** One view as a service reads it. */
export interface ViewPart {
  readonly view: CompiledView
  readonly keyedLog: string
  /** Where its entity's columns are among the service's keys. */
  readonly keyAt: readonly number[]
  readonly kernel: ViewKernel
  /** Holds one decoded state at a time, in `slot`: `decoded.state`. */
  readonly table: StateTable
  readonly slot: number
  readonly decoded: { state: StateParts | null }
  readonly out: readonly ResultColumn[]
  /** The features that the service takes, in runs that stand next to each other in its vector. */
  readonly runs: readonly (readonly number[])[]
  /** Tells its entries in the cache from those of other views and services. */
  readonly cachePrefix: string
}

/** A service, ready to be read. */
export interface ServiceLayout {
  readonly service: CompiledService
  readonly views: readonly ViewPart[]
  /** The vector's features as runs: which view, and which of its runs. */
  readonly runs: readonly { readonly view: number; readonly run: number }[]
  /** Distinct key columns of all entities, in the order of the views. */
  readonly keys: readonly FieldPlan[]
  /** All names of a vector: features, request fields, derived fields. */
  readonly names: readonly string[]
  /** Calls of its derive functions that gave nothing. */
  readonly failures: FunctionFailures
}

export function vectorNames({ plan }: CompiledService): string[] {
  return [
    ...plan.features.map(({ fullName }) => fullName),
    ...plan.request.map(({ name }) => name),
    ...plan.derived.map(({ name }) => name),
  ]
}

export async function openServiceLayout(registry: Registry, service: CompiledService): Promise<ServiceLayout> {
  const versions = [...new Set(service.plan.features.map(({ viewVersion }) => viewVersion))]
  const compiled = await Promise.all(versions.map((version) => registry.view(version)))
  const keys = new Map(compiled.flatMap(({ plan }) => plan.entity.columns.map((column) => [column.name, column])))
  const names = [...keys.keys()]
  const { runs, runsOf } = featureRuns(service, compiled)
  const views = compiled.map((view, number): ViewPart => {
    const kernel = new ViewKernel(view)
    const table = new StateTable(kernel)
    return {
      view,
      keyedLog: keyedLogOf(view),
      keyAt: view.plan.entity.columns.map(({ name }) => names.indexOf(name)),
      kernel,
      table,
      slot: table.open(),
      decoded: { state: null },
      out: view.plan.features.map((feature) => createResultColumn(feature.type, 1)),
      runs: runsOf[number],
      cachePrefix: `${service.version}/${number}/`,
    }
  })
  return {
    service,
    views,
    runs,
    keys: [...keys.values()],
    names: vectorNames(service),
    failures: new FunctionFailures(),
  }
}

function featureRuns(service: CompiledService, views: readonly CompiledView[]) {
  const runs: { view: number; run: number }[] = []
  const runsOf: number[][][] = views.map(() => [])
  for (const { viewVersion, feature } of service.plan.features) {
    const view = views.findIndex(({ version }) => version === viewVersion)
    const number = views[view].plan.features.findIndex(({ name }) => name === feature)
    const last = runs.at(-1)
    if (last?.view === view) runsOf[view][last.run].push(number)
    else runs.push({ view, run: runsOf[view].push([number]) - 1 })
  }
  return { runs, runsOf }
}
