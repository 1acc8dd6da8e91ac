import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { Value } from '../features/plan/field-type.ts'
import { entityKeyBytes } from '../features/values/entity-key.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { evaluateRows } from './evaluate-rows.ts'
import type { OfflineContext } from './evaluate-rows.ts'

/** A served row, recomputed as if it had seen the events at offsets below `bound` and been evaluated at `t`. */
export interface Trial {
  readonly row: ServedRow
  readonly bound: number
  readonly t: number
}

export function stampOffset(row: ServedRow, view: CompiledView): number {
  return Number(row.stamps.find(({ version }) => version === view.version)?.nextOffset ?? 0)
}

/** A view's columns for trials, in their order. */
export async function recomputeView(
  context: OfflineContext,
  view: CompiledView,
  trials: readonly Trial[],
): Promise<ResultColumn[]> {
  const distinct: Uint8Array[] = []
  const numberOf = new Map<string, number>()
  const keyOf = Int32Array.from(trials, ({ row }) => {
    const components = view.plan.entity.columns.map(({ name }) => row.entity[name] ?? null)
    if (components.includes(null)) return -1
    const key = entityKeyBytes(components)
    const name = Buffer.from(key).toString('latin1')
    const number = numberOf.get(name) ?? distinct.push(key) - 1
    numberOf.set(name, number)
    return number
  })
  return evaluateRows(context, view, 'offset', {
    distinct,
    keyOf,
    bound: Float64Array.from(trials, ({ bound }) => bound),
    t: Float64Array.from(trials, ({ t }) => t),
  })
}

/** Canonical bytes of one recomputed cell. */
export function recomputedCell(columns: readonly ResultColumn[], feature: number, at: number): Uint8Array {
  return encodeCell(resultValue(columns[feature], at), STATUS_NAMES[columns[feature].statuses[at]])
}

export interface ViewColumns {
  readonly view: CompiledView
  readonly columns: readonly ResultColumn[]
}

/** The whole vector of row number `at`: features, request fields, derived values. */
export function recomputedVector(
  service: CompiledService,
  views: ReadonlyMap<string, ViewColumns>,
  row: ServedRow,
  at: number,
): { values: Value[]; statuses: StatusName[] } {
  const values: Value[] = []
  const statuses: StatusName[] = []
  for (const { viewVersion, feature } of service.plan.features) {
    const found = views.get(viewVersion)
    const column = found?.columns[found.view.plan.features.findIndex(({ name }) => name === feature)]
    if (column === undefined) throw new Error(`view ${viewVersion} has no feature ${feature}`)
    values.push(resultValue(column, at))
    statuses.push(STATUS_NAMES[column.statuses[at]])
  }
  for (const { name } of service.plan.request) {
    values.push(row.request[name] ?? null)
    statuses.push('PRESENT')
  }
  deriveRow(service, values, statuses)
  return { values, statuses }
}
