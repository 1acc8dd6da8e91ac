import { createResultColumn, setNull } from '../aggregation/result-column.ts'
import type { ResultColumn, StatusCode } from '../aggregation/result-column.ts'
import type { ValueType } from '../plan/field-type.ts'
import type { Column } from '../values/column.ts'
import type { Slot, ViewKernel } from './view-kernel.ts'

/**
 * By feature, for a value that is one event's: the row of that event in the columns where the events were taken from, or `withoutValue(status)`, by place of
 * the result; null for features whose values are written to their result column. A value is then read once, when it is needed, in the order in which it is needed.
 */
export type EventReferences = readonly (Int32Array | null)[]

/** True for slots whose value is that of one event, the newest: `last` and `latest`, in any window. */
export function readsNewest(slot: Slot): boolean {
  return slot.bucketColumn < 0 && (slot.spec.kind === 'last' || slot.spec.kind === 'latest')
}

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

/** References of some rows in an order in which they can be read fast. */
export interface ReadingOrder {
  /** Rows that refer to an event, by region of the events; then the others. */
  readonly rows: Int32Array
  readonly events: Int32Array
  readonly referring: number
}

/** Events of a region: their values of one column stay in a processor's cache while rows are read from it. */
const REGION_BITS = 14

/** Rows in any order refer to events all over memory: taken by region, most reads find their value in the cache. */
export function readingOrder(references: Int32Array): ReadingOrder {
  let last = 0
  for (let row = 0; row < references.length; row++) if (references[row] > last) last = references[row]
  const regions = (last >> REGION_BITS) + 1
  const next = new Int32Array(regions + 2)
  const regionOf = (event: number): number => (event < 0 ? regions : event >> REGION_BITS)
  for (let row = 0; row < references.length; row++) next[regionOf(references[row]) + 1]++
  for (let region = 0; region <= regions; region++) next[region + 1] += next[region]
  const referring = next[regions]
  const rows = new Int32Array(references.length)
  const events = new Int32Array(references.length)
  for (let row = 0; row < references.length; row++) {
    const at = next[regionOf(references[row])]++
    rows[at] = row
    events[at] = references[row]
  }
  return { rows, events, referring }
}

/** The values that references name, as a column of their feature: a new one, or in `room`, which has at least as many rows and the same storage. */
export function readReferences(
  type: ValueType,
  order: ReadingOrder,
  column: Column,
  room?: ResultColumn,
): ResultColumn {
  const { rows, events, referring } = order
  const out = room === undefined ? createResultColumn(type, rows.length) : { ...room, type }
  out.nulls.fill(0)
  out.statuses.fill(0)
  if (column.storage === 'int64') readValues(order, column.values, out.bigints)
  else if (column.storage === 'number' || column.storage === 'bool') readValues(order, column.values, out.numbers)
  const { nulls } = column
  if (nulls !== null) for (let i = 0; i < referring; i++) out.nulls[rows[i]] = nulls[events[i]]
  for (let i = referring; i < rows.length; i++) setNull(out, rows[i], (-1 - events[i]) as StatusCode)
  return out
}

function readValues<V extends Float64Array | BigInt64Array>(
  { rows, events, referring }: ReadingOrder,
  values: V | Uint8Array,
  into: V,
): void {
  for (let i = 0; i < referring; i++) into[rows[i]] = values[events[i]]
}
