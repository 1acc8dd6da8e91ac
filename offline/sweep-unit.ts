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
  /** Empty where nothing reads positions. */
  readonly offset: Float64Array
  readonly index: Float64Array
}

/** Rows and events of the entities first…end − 1 of a view. */
export interface SweepUnit {
  readonly events: LoadedEvents
  /** Event numbers by entity, from `eventStart[entity]` on. */
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
  const { events, eventOrder, rowOrder, bound, t, firstEntity, endEntity } = unit
  const sorter = new TimeSorter()
  const eventStart = rebased(unit.eventStart, firstEntity, endEntity)
  const rowStart = rebased(unit.rowStart, firstEntity, endEntity)
  const order = eventOrder.slice(unit.eventStart[firstEntity], unit.eventStart[endEntity])
  const rows = rowOrder.slice(unit.rowStart[firstEntity], unit.rowStart[endEntity])
  const seen = gather(events.seen, order, new Float64Array(order.length))
  const rowBound = gather(bound, rows, new Float64Array(rows.length))
  const visible = new Int32Array(rows.length)
  const sameTime = bound === t
  for (let group = 0; group < endEntity - firstEntity; group++) {
    const firstEvent = eventStart[group]
    const endEvent = eventStart[group + 1]
    sorter.sort(seen, order, firstEvent, endEvent)
    if (!sameTime) sortByTime(t, rows, rowBound, rowStart[group], rowStart[group + 1])
    sorter.sort(rowBound, rows, rowStart[group], rowStart[group + 1])
    let next = firstEvent
    for (let row = rowStart[group]; row < rowStart[group + 1]; row++) {
      while (next < endEvent && seen[next] < rowBound[row]) next++
      visible[row] = next - firstEvent
    }
  }
  const input = {
    prepared: kernel.prepare(gatherEvents(events, order, seen)),
    groups: endEntity - firstEntity,
    eventStart,
    rowStart,
    visible,
    t: sameTime ? rowBound : gather(t, rows, new Float64Array(rows.length)),
    origin: { columns: events.columns, rows: order },
  }
  return { rows, input }
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

function gatherEvents(events: LoadedEvents, order: Int32Array, seen: Float64Array): EventBatch {
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
    offset: events.offset.length === 0 ? events.offset : take(events.offset),
    index: Int32Array.from(events.index.length === 0 ? events.index : take(events.index)),
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
