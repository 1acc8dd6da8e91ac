import { createResultColumn, resultValue, STATUS, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import { readingOrder, readReferences } from '../features/kernel/event-references.ts'
import type { ReadingOrder } from '../features/kernel/event-references.ts'
import { FunctionFailures } from '../features/kernel/function-failures.ts'
import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import type { Value, ValueType } from '../features/plan/field-type.ts'
import type { ServicePlan } from '../features/plan/view-plan.ts'
import type { Column } from '../features/values/column.ts'
import { columnValue } from '../features/values/column.ts'
import { encodeColumnChunk } from '../stores/tables/parquet/column-chunk.ts'
import type { EncodedColumns } from '../stores/tables/parquet/splice.ts'
import { leafChunks, shapeOf } from '../stores/tables/parquet/value-leaves.ts'
import { summarise } from './column-statistics.ts'
import type { ColumnSummary } from './column-statistics.ts'
import { readSection } from './result-spill.ts'
import type { SpillSection } from './result-spill.ts'

/** Results that are values of events in memory, see `EventReferences`. */
export interface ReferredColumn {
  readonly storage: 'references'
  readonly type: ValueType
  readonly references: Int32Array
  readonly of: Column
}

/** A view's results for the rows of a row group: by feature, or where they lie. `numbers`… begin at the row group's first row. */
export type RowGroupResults =
  | { readonly kind: 'memory'; readonly columns: readonly (ResultColumn | ReferredColumn)[] }
  | { readonly kind: 'spill'; readonly sections: readonly SpillSection[]; readonly types: readonly ValueType[] }

export interface RowGroupTask {
  readonly firstRow: number
  readonly rows: number
  /** By view. */
  readonly results: readonly RowGroupResults[]
  /** Number of the view, and of the feature in it, of each feature of the service. */
  readonly features: readonly { readonly view: number; readonly feature: number }[]
  /** The service's request fields for these rows, if it derives anything. */
  readonly request: readonly Column[]
}

export interface EncodedRowGroup extends EncodedColumns {
  /** Of each feature, then of each derived field. */
  readonly summaries: readonly ColumnSummary[]
  /** Calls of derive functions that gave nothing. */
  readonly failures: readonly FunctionFailure[]
}

/** Names and types of the columns that an export adds: features, then derived fields. */
export function addedColumns({
  features,
  derived,
}: ServicePlan): { readonly name: string; readonly type: ValueType }[] {
  return [
    ...features.map(({ fullName, type }) => ({ name: fullName, type })),
    ...derived.map(({ name, type }) => ({ name, type })),
  ]
}

/** Puts results in row order, derives, and encodes the columns of a row group as Parquet. */
export function encodeRowGroup(service: CompiledService, task: RowGroupTask): EncodedRowGroup {
  const { plan } = service
  const views = task.results.map((results) => columnsOf(results, task))
  const columns = task.features.map(({ view, feature }) => views[view][feature])
  const valuesOf = openValues(plan.derived.length === 0)
  const failures = new FunctionFailures()
  if (plan.derived.length > 0) {
    const read = columns.map(valuesOf)
    columns.splice(0, columns.length, ...read, ...derive(service, task, read, failures))
  }
  const names = addedColumns(plan)
  const parts: Uint8Array[] = []
  const summaries: ColumnSummary[] = []
  const chunks = columns.flatMap((column, i) => {
    const values = valuesOf(column)
    const summary = summarise(values, task.rows)
    summaries.push(summary)
    return leafChunks(shapeOf(names[i].name, names[i].type), values, task.rows, summary).map((leaf) => {
      const { pages, bytes, metadata } = encodeColumnChunk(leaf)
      parts.push(...pages)
      return { length: bytes, metadata }
    })
  })
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return { bytes, chunks, summaries, failures: failures.take() }
}

/** Features that refer to the same events are read in the same order. With `reuse`, values of one column last until the next is read. */
function openValues(reuse: boolean): (column: ResultColumn | ReferredColumn) => ResultColumn {
  const orders = new Map<Int32Array, ReadingOrder>()
  return (column) => {
    if (column.storage !== 'references') return column
    const { references, type, of } = column
    const order = orders.get(references) ?? readingOrder(references)
    orders.set(references, order)
    return readReferences(type, order, of, reuse ? roomFor(type, references.length) : undefined)
  }
}

const rooms = new Map<ResultColumn['storage'], ResultColumn>()

function roomFor(type: ValueType, rows: number): ResultColumn {
  const { storage } = createResultColumn(type, 0)
  let room = rooms.get(storage)
  if (room === undefined || room.nulls.length < rows) rooms.set(storage, (room = createResultColumn(type, rows)))
  const { numbers, bigints, nulls, statuses } = room
  return {
    ...room,
    numbers: numbers.subarray(0, rows),
    bigints: bigints.subarray(0, rows),
    nulls: nulls.subarray(0, rows),
    statuses: statuses.subarray(0, rows),
  }
}

function columnsOf(
  results: RowGroupResults,
  { firstRow, rows }: RowGroupTask,
): readonly (ResultColumn | ReferredColumn)[] {
  if (results.kind === 'memory') return results.columns
  const columns = results.types.map((type) => createResultColumn(type, rows))
  for (const section of results.sections) readSection(section, firstRow, columns)
  return columns
}

function derive(
  service: CompiledService,
  task: RowGroupTask,
  features: readonly ResultColumn[],
  failures: FunctionFailures,
): ResultColumn[] {
  const out = service.plan.derived.map(({ type }) => createResultColumn(type, task.rows))
  for (let row = 0; row < task.rows; row++) {
    const values = features.map((column) => resultValue(column, row))
    const statuses: StatusName[] = features.map((column) => STATUS_NAMES[column.statuses[row]])
    for (const column of task.request) {
      values.push(columnValue(column, row))
      statuses.push('PRESENT')
    }
    const first = values.length
    deriveRow(service, values, statuses, failures)
    out.forEach((column, i) => setValue(column, row, values[first + i], STATUS[statuses[first + i]]))
  }
  return out
}

function setValue(column: ResultColumn, row: number, value: Value, status: number): void {
  column.statuses[row] = status
  if (value === null) column.nulls[row] = 1
  else if (column.storage === 'numbers') column.numbers[row] = Number(value)
  else if (column.storage === 'bigints') column.bigints[row] = BigInt(value as bigint)
  else column.objects[row] = value
}
