import { FunctionFailures } from '../features/kernel/function-failures.ts'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import type { Column } from '../features/values/column.ts'
import { gatherColumn } from '../features/values/gather.ts'
import { spliceParquet } from '../stores/tables/parquet/splice.ts'
import { shapeOf } from '../stores/tables/parquet/value-leaves.ts'
import { emptySummary, mergeSummary } from './column-statistics.ts'
import type { ColumnSummary } from './column-statistics.ts'
import { addedColumns } from './encode-row-group.ts'
import type { EncodedRowGroup } from './encode-row-group.ts'
import type { ExportOptions } from './export.ts'
import type { ExportPlan } from './export-plan.ts'
import type { ResultStore } from './result-store.ts'
import type { Spine } from './spine.ts'
import type { TaskPool } from './task-pool.ts'

export interface Written {
  readonly sha256: string
  /** Of each feature, then of each derived field. */
  readonly summaries: readonly ColumnSummary[]
  /** Calls of derive functions that gave nothing. */
  readonly failures: readonly FunctionFailure[]
}

export interface WriteRequest extends Pick<ExportOptions, 'signal' | 'onProgress'> {
  readonly spine: Spine
  /** The service's request fields for all rows. */
  readonly request: readonly Column[]
  readonly results: ResultStore
  readonly firstRows: Int32Array
  readonly out: string
}

/** The spine with the results beside it, as Parquet: row groups are encoded by the threads and written in order. */
export async function writeResult(
  pool: TaskPool,
  { service, views }: ExportPlan,
  { spine, request, results, firstRows, out, signal, onProgress }: WriteRequest,
): Promise<Written> {
  const added = addedColumns(service.plan)
  const summaries = added.map(emptySummary)
  const failures = new FunctionFailures()
  const features = service.plan.features.map(({ viewVersion, feature }) => {
    const view = views.findIndex(({ version }) => version === viewVersion)
    return { view, feature: views[view].plan.features.findIndex(({ name }) => name === feature) }
  })
  const rowGroups = firstRows.length - 1
  const encode = (g: number): Promise<EncodedRowGroup> => {
    const range = { firstRow: firstRows[g], rows: firstRows[g + 1] - firstRows[g] }
    const sliced = service.plan.derived.length === 0 ? [] : sliceColumns(request, range)
    return pool.run({ kind: 'encode', ...range, results: results.rowGroup(g), features, request: sliced })
  }
  // A few row groups ahead of the writer, so that threads are busy and memory is bounded.
  const ahead: Promise<EncodedRowGroup>[] = []
  let started = 0
  const sha256 = await spliceParquet({
    spine: spine.parquet,
    out,
    schema: added.flatMap(({ name, type }) => shapeOf(name, type).schema),
    columns: async (g) => {
      signal?.throwIfAborted()
      for (; started < rowGroups && started <= g + 2 * pool.threads; started++) {
        const encoded = encode(started)
        encoded.catch(() => {})
        ahead.push(encoded)
      }
      const encoded = await ahead.shift()!
      failures.add(encoded.failures)
      encoded.summaries.forEach((summary, i) => mergeSummary(summaries[i], summary))
      onProgress?.({ phase: 'write', done: firstRows[g + 1], total: spine.rows })
      return encoded
    },
  })
  return { sha256, summaries, failures: failures.list() }
}

export function firstRowsOf(rowGroups: readonly number[]): Int32Array {
  const firstRows = new Int32Array(rowGroups.length + 1)
  rowGroups.forEach((rows, g) => (firstRows[g + 1] = firstRows[g] + rows))
  return firstRows
}

function sliceColumns(columns: readonly Column[], { firstRow, rows }: { firstRow: number; rows: number }): Column[] {
  const numbers = Int32Array.from({ length: rows }, (_, i) => firstRow + i)
  return columns.map((column) => gatherColumn(column, numbers))
}
