import { createResultColumn, resultValue, STATUS, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import { deriveRow } from '../features/kernel/derive.ts'
import type { Value, ValueType } from '../features/plan/field-type.ts'
import type { ServicePlan } from '../features/plan/view-plan.ts'
import type { Column } from '../features/values/column.ts'
import { columnValue } from '../features/values/column.ts'
import { encodeColumnChunk } from '../stores/tables/parquet/column-chunk.ts'
import type { EncodedColumns } from '../stores/tables/parquet/splice.ts'
import { leafChunks, shapeOf } from '../stores/tables/parquet/value-leaves.ts'
import { summarise } from './column-statistics.ts'
import type { ColumnSummary } from './column-statistics.ts'

/** Results of one unit for rows of one row group: result row `from + i` belongs to spine row `rows[i]`. */
export interface ResultSection {
  /** Number of the view among the service's. */
  readonly view: number
  readonly rows: Int32Array
  readonly from: number
  /** One per feature of the view. `objects` begin at `from`. */
  readonly columns: readonly ResultColumn[]
}

export interface RowGroupTask {
  readonly firstRow: number
  readonly rows: number
  readonly sections: readonly ResultSection[]
  /** Number of the view, and of the feature in it, of each feature of the service. */
  readonly features: readonly { readonly view: number; readonly feature: number }[]
  /** The service's request fields for these rows, if it derives anything. */
  readonly request: readonly Column[]
}

export interface EncodedRowGroup extends EncodedColumns {
  /** Of each feature, then of each derived field. */
  readonly summaries: readonly ColumnSummary[]
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
  const columns = plan.features.map(({ type }, f) => inRowOrder(type, task, task.features[f]))
  if (plan.derived.length > 0) columns.push(...derive(service, task, columns))
  const names = addedColumns(plan)
  const parts: Uint8Array[] = []
  const chunks = columns.flatMap((column, i) =>
    leafChunks(shapeOf(names[i].name, names[i].type), column, task.rows).map((leaf) => {
      const { pages, bytes, metadata } = encodeColumnChunk(leaf)
      parts.push(...pages)
      return { length: bytes, metadata }
    }),
  )
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return { bytes, chunks, summaries: columns.map((column) => summarise(column, task.rows)) }
}

function inRowOrder(
  type: ValueType,
  task: RowGroupTask,
  { view, feature }: RowGroupTask['features'][number],
): ResultColumn {
  const out = createResultColumn(type, task.rows)
  for (const section of task.sections) {
    if (section.view !== view) continue
    const { rows, from } = section
    const { numbers, bigints, objects, nulls, statuses, storage } = section.columns[feature]
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i] - task.firstRow
      out.nulls[row] = nulls[from + i]
      out.statuses[row] = statuses[from + i]
    }
    if (storage === 'numbers')
      for (let i = 0; i < rows.length; i++) out.numbers[rows[i] - task.firstRow] = numbers[from + i]
    else if (storage === 'bigints')
      for (let i = 0; i < rows.length; i++) out.bigints[rows[i] - task.firstRow] = bigints[from + i]
    else for (let i = 0; i < rows.length; i++) out.objects[rows[i] - task.firstRow] = objects[i]
  }
  return out
}

function derive(service: CompiledService, task: RowGroupTask, features: readonly ResultColumn[]): ResultColumn[] {
  const out = service.plan.derived.map(({ type }) => createResultColumn(type, task.rows))
  for (let row = 0; row < task.rows; row++) {
    const values = features.map((column) => resultValue(column, row))
    const statuses: StatusName[] = features.map((column) => STATUS_NAMES[column.statuses[row]])
    for (const column of task.request) {
      values.push(columnValue(column, row))
      statuses.push('PRESENT')
    }
    const first = values.length
    deriveRow(service, values, statuses)
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
