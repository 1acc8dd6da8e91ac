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
  #heldIndexes = new Float64Array(0)
  #sums = new Float64Array(0)

  constructor(kernel: ViewKernel, input: SweepInput, place: Int32Array, out: readonly ResultColumn[]) {
    this.#kernel = kernel
    this.#input = input
    this.#place = place
    this.#out = out
  }

  openGroup(group: number): void {
    this.#group = group
    if (this.#opened.length > 0) this.#opened = []
  }

  /** Reads all windows of a slot; false where it cannot: then nothing that it wrote counts. */
  run(slot: Slot, { track }: TrackTiles): boolean {
    const column = slot.input < 0 ? null : (this.#kernel.slotInput(slot, this.#input.prepared).column as NumberColumn)
    const events = this.#contributing(column === null ? null : column.nulls)
    const starts = slot.windows.map(({ tiles }) => this.#starts(events, track.hopMs, tiles))
    if (column === null) {
      slot.windows.forEach(({ readers }, w) => this.#readCounts(readers, starts[w], events.ends))
      return true
    }
    const values = this.#valuesOf(column, events)
    if (slot.spec.kind !== 'sum') {
      if (events.inOrder) this.#slideExtremes(slot, values, events, starts)
      else this.#slideLateExtremes(slot, values, events, track.hopMs)
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

  #slideLateExtremes(slot: Slot, values: Float64Array, events: Contributing, hopMs: number): void {
    const rows = this.#rows()
    const firstRow = this.#input.rowStart[this.#group]
    const sign = slot.spec.kind === 'min' ? 1 : -1
    const oldest = slot.windows.map(({ tiles }) => this.#oldest(hopMs, tiles))
    const least = slot.windows.map(() => new Float64Array(rows))
    this.#lateOrder(events).extremes(values, sign, { oldest, ends: events.ends, rows }, least)
    slot.windows.forEach(({ readers }, w) => {
      for (const { feature } of readers) {
        const out = this.#out[feature]
        for (let row = 0; row < rows; row++) {
          const place = this.#place[firstRow + row]
          if (least[w][row] === Infinity) setNull(out, place, STATUS.EMPTY_WINDOW)
          else out.numbers[place] = sign * least[w][row] + 0
        }
      }
    })
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

  /** A start may lie beyond the visible end: an empty window. */
  #readCounts(readers: Slot['windows'][number]['readers'], starts: Int32Array, ends: Int32Array): void {
    const firstRow = this.#input.rowStart[this.#group]
    const rows = this.#input.rowStart[this.#group + 1] - firstRow
    for (const { feature } of readers) {
      const out = this.#out[feature]
      for (let row = 0; row < rows; row++) {
        const count = ends[row] - starts[row]
        const place = this.#place[firstRow + row]
        if (count > 0) out.numbers[place] = count
        else out.statuses[place] = STATUS.EMPTY_WINDOW
      }
    }
  }

  #readSums(readers: Slot['windows'][number]['readers'], starts: Int32Array, { ends }: Contributing): boolean {
    const firstRow = this.#input.rowStart[this.#group]
    const rows = this.#rows()
    const sums = this.#sums
    return readers.every(({ feature }) => {
      const { kind } = this.#kernel.view.plan.features[feature].aggregation
      const out = this.#out[feature]
      if (out.storage === 'bigints') return this.#writeIntegers(out, starts, ends, sums)
      const mean = kind === 'mean'
      for (let row = 0; row < rows; row++) {
        const count = ends[row] - starts[row]
        const place = this.#place[firstRow + row]
        if (count <= 0) setNull(out, place, STATUS.EMPTY_WINDOW)
        else writeNumber(out, place, mean ? sums[row] / count + 0 : sums[row] + 0)
      }
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

  /** One deque for all windows: indexes ascending, values (sign · value) ascending; its first entry at or after a window's start is the window's extreme. */
  #slideExtremes(
    slot: Slot,
    values: Float64Array,
    { first, end, ends }: Contributing,
    starts: readonly Int32Array[],
  ): void {
    const sign = slot.spec.kind === 'min' ? 1 : -1
    if (this.#held.length < end - first + 1) {
      this.#held = new Float64Array(2 * (end - first) + 64)
      this.#heldIndexes = new Float64Array(this.#held.length)
    }
    const held = this.#held
    const indexes = this.#heldIndexes
    const heads = new Int32Array(slot.windows.length)
    const firstRow = this.#input.rowStart[this.#group]
    const rows = this.#input.rowStart[this.#group + 1] - firstRow
    const longest = starts[starts.length - 1]
    let tail = 0
    let next = first
    for (let row = 0; row < rows; row++) {
      let lowest = tail
      // Events that the longest window has left before they were seen need no entry.
      if (next < longest[row]) next = Math.min(longest[row], ends[row])
      for (; next < ends[row]; next++) {
        const value = sign * values[next]
        while (tail > 0 && held[tail - 1] >= value) tail--
        if (tail < lowest) lowest = tail
        held[tail] = value
        indexes[tail++] = next
      }
      const place = this.#place[firstRow + row]
      for (let w = 0; w < heads.length; w++) {
        let head = Math.min(heads[w], lowest)
        const start = starts[w][row]
        while (head < tail && indexes[head] < start) head++
        heads[w] = head
        const empty = head === tail
        const value = empty ? 0 : sign * held[head] + 0
        for (const { feature } of slot.windows[w].readers) {
          if (empty) setNull(this.#out[feature], place, STATUS.EMPTY_WINDOW)
          else this.#out[feature].numbers[place] = value
        }
      }
    }
  }
}

/** Present is what a fresh column says. */
function writeNumber(out: ResultColumn, place: number, value: number): void {
  if (Number.isFinite(value)) out.numbers[place] = value
  else setNumber(out, place, value)
}

function isAscending(values: Float64Array, from: number, to: number): boolean {
  for (let i = from + 1; i < to; i++) if (values[i] < values[i - 1]) return false
  return true
}

function room(array: Int32Array, length: number): Int32Array {
  return array.length >= length ? array : new Int32Array(Math.max(length, 2 * array.length))
}
