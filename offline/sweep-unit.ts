import { newestVisibleTau, sweep } from '../features/kernel/sweep.ts'
import type { SweepInput } from '../features/kernel/sweep.ts'
import type { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { Column } from '../features/values/column.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import { gather } from '../features/values/gather.ts'
import { gatherLoaded } from './gather-loaded.ts'
import { TimeSorter } from './sort-by-time.ts'
import type { OpenTarget, StoredResults } from './sweep-target.ts'

/** Events of a view in no particular order; typed arrays are shared between threads. */
export interface LoadedEvents {
  /** One per field of the source; one that the view never reads is empty. */
  readonly columns: readonly Column[]
  readonly eventTime: Float64Array
  /** What makes an event visible, see `Visibility`. */
  readonly seen: Float64Array
  /** When the fact could be known; the event time where that stands for it. */
  readonly arrival: Float64Array
}

/** Rows and events of the entities first…end − 1 of a view. */
export interface SweepUnit {
  readonly events: LoadedEvents
  /** Event numbers by entity, from `eventStart[entity]` on, each entity's in the order of its log. */
  readonly eventOrder: Int32Array
  readonly eventStart: Int32Array
  /** Row numbers by entity. */
  readonly rowOrder: Int32Array
  readonly rowStart: Int32Array
  readonly bound: Float64Array
  readonly t: Float64Array
  readonly firstEntity: number
  readonly endEntity: number
}

/** Recomputes a view for a unit's rows. */
export function sweepUnit(kernel: ViewKernel, unit: SweepUnit, open: (rows: Int32Array) => OpenTarget): StoredResults {
  const { rows, input } = orderUnit(kernel, unit)
  const { out, place, references, store } = open(rows)
  sweep(kernel, { ...input, place, references }, out)
  return store()
}

export interface NewestOfUnit {
  readonly rows: Int32Array
  /** The newest τ that row `rows[i]` sees, −Infinity without one. */
  readonly newest: Float64Array
}

/** Evaluation times do not matter. */
export function newestOfUnit(kernel: ViewKernel, unit: SweepUnit): NewestOfUnit {
  const { rows, input } = orderUnit(kernel, unit)
  return { rows, newest: newestVisibleTau(input, input.prepared) }
}

/** A unit's events in the order in which they become visible, its rows in that of their bounds (`rows` are their numbers), and what each row sees. */
function orderUnit(kernel: ViewKernel, unit: SweepUnit): { rows: Int32Array; input: SweepInput } {
  const { events, bound, t, firstEntity, endEntity } = unit
  const groups = endEntity - firstEntity
  const eventStart = rebased(unit.eventStart, firstEntity, endEntity)
  const rowStart = rebased(unit.rowStart, firstEntity, endEntity)
  const archived = unit.eventOrder.subarray(unit.eventStart[firstEntity], unit.eventStart[endEntity])
  const rows = unit.rowOrder.slice(unit.rowStart[firstEntity], unit.rowStart[endEntity])
  const seen = gather(events.seen, archived, new Float64Array(archived.length))
  const position = numbersTo(archived.length)
  const sorter = new TimeSorter()
  for (let group = 0; group < groups; group++) sorter.sort(seen, position, eventStart[group], eventStart[group + 1])
  const order = gatherNumbers(archived, position)
  const rowBound = gather(bound, rows, new Float64Array(rows.length))
  const sameTime = bound === t
  for (let group = 0; group < groups; group++) {
    if (!sameTime) sortByTime(t, rows, rowBound, rowStart[group], rowStart[group + 1])
    sorter.sort(rowBound, rows, rowStart[group], rowStart[group + 1])
  }
  const visible = new Int32Array(rows.length)
  for (let group = 0; group < groups; group++)
    countVisible(visible, { seen, from: eventStart[group], to: eventStart[group + 1] }, rowBound, {
      from: rowStart[group],
      to: rowStart[group + 1],
    })
  const input = {
    prepared: kernel.prepare(gatherEvents(events, order, seen, position)),
    groups,
    eventStart,
    rowStart,
    visible,
    t: sameTime ? rowBound : gather(t, rows, new Float64Array(rows.length)),
    origin: { columns: events.columns, rows: order },
  }
  return { rows, input }
}

/** How many of a group's events each of its rows sees. */
function countVisible(
  visible: Int32Array,
  { seen, from, to }: { seen: Float64Array; from: number; to: number },
  bound: Float64Array,
  rows: { from: number; to: number },
): void {
  let next = from
  for (let row = rows.from; row < rows.to; row++) {
    while (next < to && seen[next] < bound[row]) next++
    visible[row] = next - from
  }
}

function numbersTo(length: number): Int32Array {
  const numbers = new Int32Array(length)
  for (let i = 0; i < length; i++) numbers[i] = i
  return numbers
}

function gatherNumbers(source: Int32Array, rows: Int32Array): Int32Array {
  const numbers = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) numbers[i] = source[rows[i]]
  return numbers
}

function rebased(start: Int32Array, first: number, end: number): Int32Array {
  const from = start[first]
  return start.slice(first, end + 1).map((at) => at - from)
}

/** Before the stable sort by bound: rows of one bound are then in the order of t. */
function sortByTime(t: Float64Array, rows: Int32Array, bound: Float64Array, from: number, to: number): void {
  const boundOf = new Map(Array.from({ length: to - from }, (_, i) => [rows[from + i], bound[from + i]]))
  rows.subarray(from, to).sort((a, b) => t[a] - t[b] || a - b)
  for (let i = from; i < to; i++) bound[i] = boundOf.get(rows[i]) ?? 0
}

/** `position`: the place of each event in the order of the archive, which is that of an entity's log: it stands for offset and index. */
function gatherEvents(events: LoadedEvents, order: Int32Array, seen: Float64Array, position: Int32Array): EventBatch {
  const length = order.length
  const take = (values: Float64Array): Float64Array =>
    values === events.seen ? seen : gather(values, order, new Float64Array(length))
  const eventTime = take(events.eventTime)
  const arrival = events.arrival === events.eventTime ? eventTime : take(events.arrival)
  const tau = arrival === eventTime ? eventTime : eventTime.map((time, i) => Math.min(time, arrival[i]))
  return {
    length,
    columns: gatheredWhenRead(events.columns, order),
    eventTime,
    arrival,
    tau,
    offset: Float64Array.from(position),
    index: new Int32Array(length),
  }
}

/** Columns that are put in order when first read. */
function gatheredWhenRead(columns: readonly Column[], order: Int32Array): readonly Column[] {
  const gathered: Column[] = []
  columns.forEach((column, c) => {
    let held: Column | null = null
    Object.defineProperty(gathered, c, { enumerable: true, get: () => (held ??= gatherLoaded(column, order)) })
  })
  return gathered
}
