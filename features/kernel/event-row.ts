import type { SourcePlan } from '../plan/source-plan.ts'
import type { Column } from '../values/column.ts'
import { columnValue } from '../values/column.ts'

/** The event a user function sees: one object per batch, moved from row to row, read-only. Values as in `ValueType`; bytes and vectors are copies. */
export interface EventCursor {
  readonly event: object
  moveTo(row: number): void
}

export function createEventCursor(source: SourcePlan, columns: readonly Column[]): EventCursor {
  let row = 0
  const event = {}
  source.fields.forEach((field, i) => {
    const column = columns[i]
    Object.defineProperty(event, field.name, { enumerable: true, get: getter(column, () => row) })
  })
  return {
    event: Object.freeze(event),
    moveTo(next) {
      row = next
    },
  }
}

function getter(column: Column, row: () => number): () => unknown {
  if (column.storage === 'number' && column.nulls === null) {
    const values = column.values
    return () => values[row()]
  }
  if (column.storage === 'bytes' || column.storage === 'vector') {
    return () => {
      const value = columnValue(column, row())
      return value instanceof Uint8Array || value instanceof Float32Array ? value.slice() : value
    }
  }
  return () => columnValue(column, row())
}
