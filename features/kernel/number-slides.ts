import { STATUS, setNull } from '../aggregation/result-column.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { setNumber } from '../aggregation/readers.ts'
import type { NumberColumn } from '../values/column.ts'
import { LateOrder } from './late-slides.ts'
import { PrefixSums } from './prefix-sums.ts'
import type { SweepInput } from './sweep.ts'
import { windowStart } from './track-cells.ts'
import type { TrackTiles } from './track-tiles.ts'
import type { Slot, ViewKernel } from './view-kernel.ts'

/** True for slots that `NumberSlides` knows: counts of events, and sums, minima and maxima of doubles. */
export function slidesNumbers(kernel: ViewKernel, slot: Slot): boolean {
  if (slot.bucketColumn >= 0) return false
  if (slot.spec.kind === 'count') return slot.input < 0
  if (!['sum', 'min', 'max'].includes(slot.spec.kind)) return false
  return kernel.inputStorage(slot.input) === 'number'
}

/** The events of a group that contribute to slots with one set of nulls: indexes first…end − 1 of `tau`, in the order in which they become visible. */
interface Contributing {
  readonly nulls: Uint8Array | null
  tau: Float64Array
  first: number
  end: number
  /** The event of each index, or null where they are the batch's own indexes. */
  rows: Int32Array | null
  /** τ never goes down: a window is a range of indexes. */
  inOrder: boolean
  /** Per row of the group: end of the visible ones. */
  ends: Int32Array
  /** Where τ goes down: the events of group `lateGroup` by τ. */
  late: LateOrder | null
  lateGroup: number
  /** Per row of the group, for each window of the view: index of the window's oldest event; where τ goes down, the end less the events in the window. */
  readonly starts: { readonly hopMs: number; readonly tiles: number; readonly of: Int32Array; group: number }[]
}

/**
 * Sliding windows over typed arrays. Where events become visible in the order of τ, a window is a range of events: a count is a difference, a sum
 * the difference of exact prefix sums in two doubles, min and max the first entry at or after the window's start of one deque of suffix extremes that all
 * windows share; where some are late, see `late-slides.ts`. A sum or a difference that two doubles do not hold exactly is refused, never rounded: `run` says false, and the cells compute the group.
 */
export class NumberSlides {
  readonly #kernel: ViewKernel
  readonly #input: SweepInput
  readonly #place: Int32Array
  readonly #out: readonly ResultColumn[]
  readonly #known: Contributing[] = []
  #opened: Contributing[] = []
  #group = -1
  #values = new Float64Array(0)
  readonly #prefixes = new PrefixSums()
  #held = new Float64Array(0)
  #heldIndexes = new Int32Array(0)
  /** By window. */
  readonly #least: Float64Array[] = []
  /** Where results of the open group go. */
  #places: Int32Array = new Int32Array(0)
  #sums = new Float64Array(0)

  constructor(kernel: ViewKernel, input: SweepInput, place: Int32Array, out: readonly ResultColumn[]) {
    this.#kernel = kernel
    this.#input = input
    this.#place = place
    this.#out = out
  }

  openGroup(group: number): void {
    this.#group = group
    const { rowStart } = this.#input
    this.#places = this.#place.subarray(rowStart[group], rowStart[group + 1])
    if (this.#opened.length > 0) this.#opened = []
  }

  /** Reads all windows of a slot; false where it cannot: then nothing that it wrote counts. */
  run(slot: Slot, { track }: TrackTiles): boolean {
    const column = slot.input < 0 ? null : (this.#kernel.slotInput(slot, this.#input.prepared).column as NumberColumn)
    const events = this.#contributing(column === null ? null : column.nulls)
    const starts = slot.windows.map(({ tiles }) => this.#starts(events, track.hopMs, tiles))
    if (column === null) {
      slot.windows.forEach(({ readers }, w) => {
        for (const { feature } of readers)
          writeCounts(this.#out[feature], this.#places, { starts: starts[w], ends: events.ends })
      })
      return true
    }
    const values = this.#valuesOf(column, events)
    if (slot.spec.kind !== 'sum') {
      const extremes = this.#extremes(slot, values, events, starts, track.hopMs)
      slot.windows.forEach(({ readers }, w) => {
        for (const { feature } of readers)
          writeNumbers(this.#out[feature], this.#places, extremes[w], { starts: starts[w], ends: events.ends })
      })
      return true
    }
    if (events.inOrder && !this.#prefixes.open(values, events.first, events.end)) return false
    return slot.windows.every(({ readers, tiles }, w) => {
      const isExact = events.inOrder
        ? this.#differences(starts[w], events)
        : this.#lateOrder(events).sums(
            values,
            this.#oldest(track.hopMs, tiles),
            events.ends,
            this.#rows(),
            this.#roomForSums(),
          )
      return isExact && this.#readSums(readers, starts[w], events)
    })
  }

  /** Of the open group. */
  #rows(): number {
    const { rowStart } = this.#input
    return rowStart[this.#group + 1] - rowStart[this.#group]
  }

  #roomForSums(): Float64Array {
    const rows = this.#rows()
    if (this.#sums.length < rows) this.#sums = new Float64Array(Math.max(rows, 2 * this.#sums.length))
    return this.#sums
  }

  #differences(starts: Int32Array, { first, ends }: Contributing): boolean {
    return this.#prefixes.differences(starts, ends, { first, rows: this.#rows() }, this.#roomForSums())
  }

  #lateOrder(events: Contributing): LateOrder {
    if (events.late === null || events.lateGroup !== this.#group) {
      events.late ??= new LateOrder()
      events.late.open(events.tau, events.first, events.end)
      events.lateGroup = this.#group
    }
    return events.late
  }

  /** Per row the least τ of the window of `tiles` hops. */
  #oldest(hopMs: number, tiles: number): Float64Array {
    const { rowStart, t } = this.#input
    const firstRow = rowStart[this.#group]
    return Float64Array.from({ length: this.#rows() }, (_, row) => windowStart(t[firstRow + row], hopMs, tiles))
  }

  /** By window the extreme of each row; arbitrary where the window is empty. */
  #extremes(
    slot: Slot,
    values: Float64Array,
    events: Contributing,
    starts: readonly Int32Array[],
    hopMs: number,
  ): readonly Float64Array[] {
    const rows = this.#rows()
    const { first, end, ends } = events
    const sign = slot.spec.kind === 'min' ? 1 : -1
    while (this.#least.length < slot.windows.length) this.#least.push(new Float64Array(0))
    for (let w = 0; w < slot.windows.length; w++)
      if (this.#least[w].length < rows) this.#least[w] = new Float64Array(Math.max(rows, 2 * this.#least[w].length))
    const least = this.#least.slice(0, slot.windows.length)
    if (!events.inOrder) {
      const oldest = slot.windows.map(({ tiles }) => this.#oldest(hopMs, tiles))
      this.#lateOrder(events).extremes(values, sign, { oldest, ends, rows }, least)
      for (const of of least) for (let row = 0; row < rows; row++) of[row] = sign * of[row] + 0
      return least
    }
    if (this.#held.length < end - first + 1) {
      this.#held = new Float64Array(2 * (end - first) + 64)
      this.#heldIndexes = new Int32Array(this.#held.length)
    }
    const deque = { held: this.#held, indexes: this.#heldIndexes, heads: new Int32Array(slot.windows.length) }
    slideExtremes({ values, sign, first }, { starts, ends, rows }, deque, least)
    return least
  }

  #contributing(nulls: Uint8Array | null): Contributing {
    const opened = this.#opened.find((events) => events.nulls === nulls)
    if (opened !== undefined) return opened
    let events = this.#known.find((known) => known.nulls === nulls)
    if (events === undefined) {
      const none = new Int32Array(0)
      events = {
        nulls,
        tau: this.#input.prepared.batch.tau,
        first: 0,
        end: 0,
        rows: null,
        inOrder: true,
        ends: none,
        starts: [],
        late: null,
        lateGroup: -1,
      }
      this.#known.push(events)
    }
    this.#opened.push(events)
    const { selected } = this.#input.prepared
    if (nulls === null && selected === null) this.#takeAll(events)
    else this.#takeSome(events, nulls, selected)
    events.inOrder = isAscending(events.tau, events.first, events.end)
    return events
  }

  #takeAll(events: Contributing): void {
    const { eventStart, rowStart, visible } = this.#input
    events.first = eventStart[this.#group]
    events.end = eventStart[this.#group + 1]
    const firstRow = rowStart[this.#group]
    const rows = rowStart[this.#group + 1] - firstRow
    events.ends = room(events.ends, rows)
    for (let row = 0; row < rows; row++) events.ends[row] = events.first + visible[firstRow + row]
  }

  #takeSome(events: Contributing, nulls: Uint8Array | null, selected: Uint8Array | null): void {
    const { eventStart, rowStart, visible, prepared } = this.#input
    const from = eventStart[this.#group]
    const to = eventStart[this.#group + 1]
    const rowsOf = (events.rows = room(events.rows ?? new Int32Array(0), to - from))
    if (events.tau === prepared.batch.tau || events.tau.length < to - from) events.tau = new Float64Array(rowsOf.length)
    const firstRow = rowStart[this.#group]
    const rows = rowStart[this.#group + 1] - firstRow
    events.ends = room(events.ends, rows)
    let count = 0
    let next = from
    const take = (end: number): void => {
      for (; next < end; next++) {
        if ((selected !== null && selected[next] === 0) || (nulls !== null && nulls[next] === 1)) continue
        rowsOf[count] = next
        events.tau[count++] = prepared.batch.tau[next]
      }
    }
    for (let row = 0; row < rows; row++) {
      take(from + visible[firstRow + row])
      events.ends[row] = count
    }
    events.end = count
  }

  /** Per row the first index whose τ lies in the window of `tiles` hops. */
  #starts(events: Contributing, hopMs: number, tiles: number): Int32Array {
    let entry = events.starts.find((known) => known.hopMs === hopMs && known.tiles === tiles)
    const { rowStart, t } = this.#input
    const firstRow = rowStart[this.#group]
    const rows = rowStart[this.#group + 1] - firstRow
    if (entry === undefined || entry.of.length < rows) {
      const known = entry
      entry = { hopMs, tiles, of: room(new Int32Array(0), rows), group: -1 }
      if (known === undefined) events.starts.push(entry)
      else events.starts[events.starts.indexOf(known)] = entry
    }
    if (entry.group === this.#group) return entry.of
    entry.group = this.#group
    const { of } = entry
    if (!events.inOrder) {
      this.#lateOrder(events).counts(this.#oldest(hopMs, tiles), events.ends, rows, of)
      for (let row = 0; row < rows; row++) of[row] = events.ends[row] - of[row]
      return of
    }
    const { tau, end } = events
    let start = events.first
    for (let row = 0; row < rows; row++) {
      const oldest = windowStart(t[firstRow + row], hopMs, tiles)
      while (start < end && tau[start] < oldest) start++
      of[row] = start
    }
    return of
  }

  #valuesOf(column: NumberColumn, { rows, end }: Contributing): Float64Array {
    if (rows === null) return column.values
    if (this.#values.length < end) this.#values = new Float64Array(Math.max(end, 2 * this.#values.length))
    for (let i = 0; i < end; i++) this.#values[i] = column.values[rows[i]]
    return this.#values
  }

  #readSums(readers: Slot['windows'][number]['readers'], starts: Int32Array, { ends }: Contributing): boolean {
    return readers.every(({ feature }) => {
      const { kind } = this.#kernel.view.plan.features[feature].aggregation
      const out = this.#out[feature]
      if (out.storage === 'bigints') return this.#writeIntegers(out, starts, ends, this.#sums)
      writeNumbers(out, this.#places, this.#sums, { starts, ends, isMean: kind === 'mean' })
      return true
    })
  }

  /** Sums of integers; false beyond those that a double holds exactly. */
  #writeIntegers(out: ResultColumn, starts: Int32Array, ends: Int32Array, sums: Float64Array): boolean {
    const firstRow = this.#input.rowStart[this.#group]
    const rows = this.#input.rowStart[this.#group + 1] - firstRow
    for (let row = 0; row < rows; row++) {
      const place = this.#place[firstRow + row]
      if (ends[row] <= starts[row]) {
        setNull(out, place, STATUS.EMPTY_WINDOW)
        continue
      }
      if (!Number.isSafeInteger(sums[row])) return false
      out.bigints[place] = BigInt(sums[row])
    }
    return true
  }
}

interface Deque {
  readonly held: Float64Array
  readonly indexes: Int32Array
  /** By window. */
  readonly heads: Int32Array
}

/** One deque for all windows: indexes ascending, values (sign · value) ascending; its first entry at or after a window's start is the window's extreme. */
function slideExtremes(
  { values, sign, first }: { readonly values: Float64Array; readonly sign: number; readonly first: number },
  { starts, ends, rows }: { readonly starts: readonly Int32Array[]; readonly ends: Int32Array; readonly rows: number },
  { held, indexes, heads }: Deque,
  extremes: readonly Float64Array[],
): void {
  const windows = starts.length
  const longest = starts[windows - 1]
  let tail = 0
  let next = first
  for (let row = 0; row < rows; row++) {
    const end = ends[row]
    let lowest = tail
    // Events that the longest window has left before they were seen need no entry.
    if (next < longest[row]) next = Math.min(longest[row], end)
    for (; next < end; next++) {
      const value = sign * values[next]
      while (tail > 0 && held[tail - 1] >= value) tail--
      if (tail < lowest) lowest = tail
      held[tail] = value
      indexes[tail++] = next
    }
    for (let w = 0; w < windows; w++) {
      const start = starts[w][row]
      let head = Math.min(heads[w], lowest)
      while (head < tail && indexes[head] < start) head++
      heads[w] = head
      if (head < tail) extremes[w][row] = sign * held[head] + 0
    }
  }
}

/** A start may lie beyond the visible end: an empty window, as is one without events. */
interface RowWindows {
  readonly starts: Int32Array
  readonly ends: Int32Array
}

function writeCounts({ numbers, statuses }: ResultColumn, places: Int32Array, { starts, ends }: RowWindows): void {
  for (let row = 0; row < places.length; row++) {
    const count = ends[row] - starts[row]
    if (count > 0) numbers[places[row]] = count
    else statuses[places[row]] = STATUS.EMPTY_WINDOW
  }
}

/** Present is what a fresh column says. */
function writeNumbers(
  out: ResultColumn,
  places: Int32Array,
  values: Float64Array,
  { starts, ends, isMean = false }: RowWindows & { readonly isMean?: boolean },
): void {
  const { numbers } = out
  for (let row = 0; row < places.length; row++) {
    const count = ends[row] - starts[row]
    const place = places[row]
    if (count <= 0) {
      setNull(out, place, STATUS.EMPTY_WINDOW)
      continue
    }
    const value = isMean ? values[row] / count + 0 : values[row] + 0
    // Neither infinite nor not a number.
    if (value - value === 0) numbers[place] = value
    else setNumber(out, place, value)
  }
}

function isAscending(values: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (values[i] < values[i - 1]) return false
  return true
}

function room(array: Int32Array, length: number): Int32Array {
  return array.length >= length ? array : new Int32Array(Math.max(length, 2 * array.length))
}
