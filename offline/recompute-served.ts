import { randomUUID } from 'node:crypto'
import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { createColumnBuilder } from '../features/kernel/function-results.ts'
import { createResultColumns, ViewKernel } from '../features/kernel/view-kernel.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { Value } from '../features/plan/field-type.ts'
import { entityKeyBytes } from '../features/values/entity-key.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import type { ServedRow } from '../inference/served-record.ts'
import { loadUnits } from './evaluate-view.ts'
import type { RowEntities } from './evaluate-view.ts'
import type { OfflineContext } from './offline-context.ts'
import { sweepUnit } from './sweep-unit.ts'

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
  const keys = `verify_keys_${randomUUID().replaceAll('-', '')}`
  try {
    const kernel = new ViewKernel(view)
    const entities = await createEntities(context, view, keys, trials)
    const bound = Float64Array.from(trials, (trial) => trial.bound)
    const t = Float64Array.from(trials, (trial) => trial.t)
    const request = {
      view,
      visibility: 'offset',
      endOffset: new Array<number>(context.partitions).fill(Infinity),
    } as const
    for (const { unit, rows } of await loadUnits(context, request, { ...entities, bound, t }, 1))
      sweepUnit(kernel, unit).forEach((column, f) => scatter(column, rows, out[f]))
    return out
  } finally {
    await context.tables.dropTable(keys)
  }
}

/** A table of the trials' distinct keys, numbered. */
async function createEntities(
  { tables }: OfflineContext,
  { plan: { entity } }: CompiledView,
  keys: string,
  trials: readonly Trial[],
): Promise<RowEntities> {
  const numberOf = new Map<string, number>()
  const distinct: Value[][] = []
  const found = trials.map(({ row }) => {
    const components = entity.columns.map(({ name }) => row.entity[name] ?? null)
    if (components.includes(null)) return -1
    const name = Buffer.from(entityKeyBytes(components)).toString('latin1')
    const known = numberOf.get(name) ?? distinct.push(components) - 1
    numberOf.set(name, known)
    return known
  })
  const entityOf = Int32Array.from(found, (number) => (number < 0 ? distinct.length : number))
  const rowsOf = new Int32Array(distinct.length + 1)
  for (const number of entityOf) rowsOf[number]++
  const fields = [ENTITY_NUMBER, ...entity.columns]
  const columns = fields.map(({ type }, f) => {
    const builder = createColumnBuilder(type, distinct.length)
    distinct.forEach((components, number) => builder.set(number, f === 0 ? number : components[f - 1]))
    return builder.finish()
  })
  await tables.createTable(keys, fields)
  await tables.appendColumns(keys, fields, { rows: distinct.length, columns })
  return { keys, entityOf, entities: distinct.length + 1, rowsOf }
}

const ENTITY_NUMBER = { name: '__entity', type: { kind: 'int32' }, nullable: false, nonFinite: 'reject' } as const

/** Row i of a unit's column is row `rows[i]`. */
function scatter(column: ResultColumn, rows: Int32Array, out: ResultColumn): void {
  rows.forEach((row, at) => {
    out.nulls[row] = column.nulls[at]
    out.statuses[row] = column.statuses[at]
    if (out.storage === 'numbers' && column.storage === 'numbers') out.numbers[row] = column.numbers[at]
    else if (out.storage === 'bigints' && column.storage === 'bigints') out.bigints[row] = column.bigints[at]
    else if (out.storage === 'objects' && column.storage === 'objects') out.objects[row] = column.objects[at]
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
