import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { createResultColumns, ViewKernel } from '../features/kernel/view-kernel.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { Value } from '../features/plan/field-type.ts'
import { entityKeyBytes } from '../features/values/entity-key.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { forEachUnit } from './evaluate-view.ts'
import { KeyTable } from './key-table.ts'
import type { OfflineContext } from './offline-context.ts'
import { numberEntities } from './row-entities.ts'
import type { RowEntities } from './row-entities.ts'
import { openTarget } from './sweep-target.ts'
import type { OpenTarget } from './sweep-target.ts'
import { sweepUnit } from './sweep-unit.ts'
import { openLoader } from './task-pool.ts'

/** Of events at once: a batch of served rows reads few entities. */
const EVENT_BYTES_MAX = 256 << 20

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
  const out = createResultColumns(view, trials.length)
  if (trials.length === 0) return out
  const kernel = new ViewKernel(view)
  const types = view.plan.features.map(({ type }) => type)
  const request = {
    view,
    visibility: 'offset',
    entities: entitiesOf(context, view, trials),
    bound: Float64Array.from(trials, (trial) => trial.bound),
    t: Float64Array.from(trials, (trial) => trial.t),
    endOffset: new Array<number>(context.partitions).fill(Infinity),
    eventBytesMax: EVENT_BYTES_MAX,
  } as const
  await forEachUnit(context, openLoader(), request, async (unit) => {
    const open = (rows: Int32Array): OpenTarget => openTarget({ kind: 'memory', columns: out }, types, rows, noSpill)
    const { rows, objects } = sweepUnit(kernel, unit, open)
    objects.forEach((values, f) => values.forEach((value, at) => (out[f].objects[rows[at]] = value)))
  })
  return out
}

function noSpill(): never {
  throw new Error('results of verification stay in memory')
}

function entitiesOf(
  context: OfflineContext,
  { plan: { entity } }: CompiledView,
  trials: readonly Trial[],
): RowEntities {
  const keys = new KeyTable()
  const keyOf = Int32Array.from(trials, ({ row }) => {
    const components = entity.columns.map(({ name }) => row.entity[name] ?? null)
    if (components.includes(null)) return -1
    const bytes = entityKeyBytes(components)
    return keys.add(bytes, 0, bytes.length)
  })
  return numberEntities(keys, keyOf, context)
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
