import type { Column } from '../features/values/column.ts'
import { gatherColumn } from '../features/values/gather.ts'

/** Rows of a column, in the given order; a column that was not loaded, as the view never reads it, stays as it is: empty. */
export function gatherLoaded(column: Column, rows: Int32Array): Column {
  const held = column.storage === 'string' ? column.codes.length : column.values.length
  return held === 0 ? column : gatherColumn(column, rows)
}
