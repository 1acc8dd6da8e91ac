import type { FieldType } from '../features/plan/field-type.ts'
import { createColumnBuilder } from '../features/kernel/function-results.ts'
import type { Column } from '../features/values/column.ts'

/** A column that was not loaded, as the view never reads it. */
export function emptyColumn(type: FieldType): Column {
  return createColumnBuilder(type, 0).finish()
}
