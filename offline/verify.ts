import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService, CompiledView } from '../features/kernel/compiled-view.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { Value } from '../features/plan/field-type.ts'
import { entityKeyBytes } from '../features/values/entity-key.ts'
import { encodeCell } from '../features/values/value-bytes.ts'
import { readServed } from '../inference/served-log.ts'
import type { ServedRow } from '../inference/served-record.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { evaluateRows } from './evaluate-rows.ts'
import type { OfflineContext } from './evaluate-rows.ts'

export interface Mismatch {
  readonly requestId: string
  readonly feature: string
  readonly served: string
  readonly recomputed: string
  readonly cause: string
}

export interface VerifyReport {
  /** Rows compared. */
  readonly rows: number
  readonly values: number
  /** Rows whose events are not archived yet. */
  readonly pending: number
  readonly mismatches: readonly Mismatch[]
}

/** Recomputes served vectors from the archive at their stamps and compares canonical bytes, cell by cell. */
export async function verifyServed(
  context: OfflineContext,
  options: { readonly sample?: number } = {},
): Promise<VerifyReport> {
  const byService = new Map<string, ServedRow[]>()
  let pending = 0
  const archived = await context.metadata.listProgress<ArchiveProgress>('archive')
  const logged: ServedRow[] = []
  for await (const batch of readServed(context.log, options))
    for (const { row } of batch) if (row !== null) logged.push(row)
  for (const row of logged) {
    if (await isPending(context, row, archived)) {
      pending++
      continue
    }
    const rows = byService.get(row.serviceVersion) ?? []
    byService.set(row.serviceVersion, rows)
    rows.push(row)
  }
  const mismatches: Mismatch[] = []
  let rows = 0
  let values = 0
  for (const [version, served] of byService) {
    const service = await context.registry.service(version)
    rows += served.length
    values += served.reduce((sum, row) => sum + row.cells.length, 0)
    mismatches.push(...(await verifyService(context, service, served)))
  }
  return { rows, values, pending, mismatches }
}

async function isPending(
  context: OfflineContext,
  row: ServedRow,
  archived: ReadonlyMap<string, ArchiveProgress>,
): Promise<boolean> {
  for (const stamp of row.stamps) {
    const { source, entity } = (await context.registry.view(stamp.version)).plan
    const progress = archived.get(`${source.name}.${entity.name}/${stamp.partition}`)
    if (Number(stamp.nextOffset) > (progress?.nextOffset ?? 0)) return true
  }
  return false
}

async function verifyService(
  context: OfflineContext,
  service: CompiledService,
  rows: readonly ServedRow[],
): Promise<Mismatch[]> {
  const results = new Map<string, { view: CompiledView; columns: ResultColumn[] }>()
  for (const version of new Set(service.plan.features.map(({ viewVersion }) => viewVersion))) {
    const view = await context.registry.view(version)
    results.set(version, { view, columns: await recompute(context, view, rows) })
  }
  const names = [
    ...service.plan.features.map(({ fullName }) => fullName),
    ...service.plan.request.map(({ name }) => name),
    ...service.plan.derived.map(({ name }) => name),
  ]
  return rows.flatMap((row, i) => {
    const { values, statuses } = vectorOf(service, results, row, i)
    return values.flatMap((value, c) => {
      const cell = encodeCell(value, statuses[c])
      if (Buffer.compare(cell, row.cells[c]) === 0) return []
      const cause =
        cell[0] === row.cells[c][0]
          ? 'the value differs: the stored state or the code that served it is not what the archive gives'
          : 'the status differs: the events seen or the evaluation time differ'
      return [{ requestId: row.requestId, feature: names[c], served: hex(row.cells[c]), recomputed: hex(cell), cause }]
    })
  })
}

function vectorOf(
  service: CompiledService,
  results: ReadonlyMap<string, { view: CompiledView; columns: ResultColumn[] }>,
  row: ServedRow,
  i: number,
) {
  const values: Value[] = []
  const statuses: StatusName[] = []
  for (const { viewVersion, feature } of service.plan.features) {
    const result = results.get(viewVersion)
    const column = result?.columns[result.view.plan.features.findIndex(({ name }) => name === feature)]
    if (column === undefined) throw new Error(`view ${viewVersion} has no feature ${feature}`)
    values.push(resultValue(column, i))
    statuses.push(STATUS_NAMES[column.statuses[i]])
  }
  for (const field of service.plan.request) {
    values.push(row.request[field.name] ?? null)
    statuses.push('PRESENT')
  }
  deriveRow(service, values, statuses)
  return { values, statuses }
}

async function recompute(
  context: OfflineContext,
  view: CompiledView,
  rows: readonly ServedRow[],
): Promise<ResultColumn[]> {
  const distinct: Uint8Array[] = []
  const numberOf = new Map<string, number>()
  const keyOf = Int32Array.from(rows, (row) => {
    const components = view.plan.entity.columns.map((field) => row.entity[field.name] ?? null)
    if (components.includes(null)) return -1
    const key = entityKeyBytes(components)
    const name = Buffer.from(key).toString('latin1')
    const number = numberOf.get(name) ?? distinct.push(key) - 1
    numberOf.set(name, number)
    return number
  })
  const bound = Float64Array.from(rows, (row) =>
    Number(row.stamps.find(({ version }) => version === view.version)?.nextOffset ?? 0),
  )
  return evaluateRows(context, view, 'offset', {
    distinct,
    keyOf,
    bound,
    t: Float64Array.from(rows, (row) => row.evaluatedAt),
  })
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
