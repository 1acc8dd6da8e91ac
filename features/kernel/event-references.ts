import { createResultColumn, setNull, STATUS } from '../aggregation/result-column.ts'
import type { ResultColumn, StatusCode } from '../aggregation/result-column.ts'
import type { ValueType } from '../plan/field-type.ts'
import type { Column } from '../values/column.ts'
import { readsNewest } from './newest-events.ts'
import type { ViewKernel } from './view-kernel.ts'

/**
 * By feature, for a value that is one event's: the row of that event in the columns where the events were taken from, or `withoutValue(status)`, by place of
 * the result; null for features whose values are written to their result column. A value is then read once, when it is needed, in the order in which it is needed.
 */
export type EventReferences = readonly (Int32Array | null)[]

const REFERRED = new Set(['number', 'int64', 'bool'])

/** By feature the number of its references, null where its value is no event's as it is. Features with one number refer to the same events. */
export function referenceSets(kernel: ViewKernel): (number | null)[] {
  const { features } = kernel.view.plan
  const sets: (number | null)[] = features.map(() => null)
  const numbers = new Map<string, number>()
  for (const { hopMs, slots } of kernel.tracks)
    for (const slot of slots) {
      if (!readsNewest(slot) || slot.input < 0 || kernel.columnOfInput(slot.input) < 0) continue
      if (!REFERRED.has(kernel.inputStorage(slot.input))) continue
      for (const { tiles, readers } of slot.windows)
        for (const { feature } of readers) {
          if (features[feature].default !== null || kernel.rules[feature] !== null) continue
          const events = `${hopMs} ${tiles} ${slot.seesNulls ? '' : slot.input}`
          const number = numbers.get(events) ?? numbers.size
          numbers.set(events, number)
          sets[feature] = number
        }
    }
  return sets
}

export function withoutValue(status: StatusCode): number {
  return -1 - status
}

/** The values that references of `rows` results name, as a column of their feature. */
export function readReferences(type: ValueType, references: Int32Array, column: Column, rows: number): ResultColumn {
  const out = createResultColumn(type, rows)
  const { numbers, bigints } = out
  if (column.storage === 'int64') readValues(references, column, bigints, out)
  else if (column.storage === 'number' || column.storage === 'bool') readValues(references, column, numbers, out)
  return out
}

function readValues<V extends Float64Array | BigInt64Array>(
  references: Int32Array,
  { values, nulls }: { readonly values: V | Uint8Array; readonly nulls: Uint8Array | null },
  into: V,
  out: ResultColumn,
): void {
  for (let row = 0; row < into.length; row++) {
    const event = references[row]
    if (event < 0) setNull(out, row, (-1 - event) as StatusCode)
    else if (nulls !== null && nulls[event] === 1) setNull(out, row, STATUS.PRESENT)
    else into[row] = values[event]
  }
}
