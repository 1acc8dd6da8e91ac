import type { Cells, SlotInput } from '../aggregation/cells.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { settleRow } from './rules.ts'
import { lowerBound, tileOf, withoutNulls } from './state-table.ts'
import { createResultColumns } from './view-kernel.ts'
import type { PreparedBatch, Slot, Track, ViewKernel } from './view-kernel.ts'

/** Events and evaluations of many entities ("groups"), each group a contiguous range of both. */
export interface SweepInput {
  /** Events by group, each group in the order in which they become visible. */
  readonly prepared: PreparedBatch
  readonly groups: number
  /** groups + 1 offsets into the events. */
  readonly eventStart: Int32Array
  /** groups + 1 offsets into the rows. */
  readonly rowStart: Int32Array
  /** Per row: how many of its group's events are visible; non-decreasing within a group. */
  readonly visible: Int32Array
  /** Per row: evaluation time, epoch ms, greater than every visible τ. Fastest where non-decreasing within a group. */
  readonly t: Float64Array
}

/**
 * Point-in-time evaluation by replay: each group's events are applied in order and its rows are evaluated in between. The same cells, merges and
 * readers as a streamed state, so the same values, bit for bit. Windows slide: tiles that leave are subtracted where the aggregation has an exact
 * inverse, else the window is merged anew from its tiles. Cost: O(events + rows · tiles left) per window. Returns one column per feature, rows in
 * the order of the input.
 */
export function sweep(kernel: ViewKernel, input: SweepInput): ResultColumn[] {
  const out = createResultColumns(kernel.view, input.t.length)
  for (const track of kernel.tracks) {
    const tiles = new TrackTiles(track, input)
    for (const slot of track.slots) new SlotSweep(kernel, slot, tiles, input, out).run()
  }
  const newest = newestVisibleTau(input, input.prepared)
  for (let row = 0; row < newest.length; row++) settleRow(kernel, newest[row], input.t[row], out, row)
  return out
}

/** Per row: the newest τ of its visible events that passed `where`, −Infinity without one. */
export function newestVisibleTau(input: SweepInput, prepared: PreparedBatch): Float64Array {
  const { tau } = prepared.batch
  const newest = new Float64Array(input.t.length)
  for (let group = 0; group < input.groups; group++) {
    const first = input.eventStart[group]
    let seen = 0
    let best = -Infinity
    for (let row = input.rowStart[group]; row < input.rowStart[group + 1]; row++) {
      for (; seen < input.visible[row]; seen++) {
        const event = first + seen
        if (prepared.selected !== null && prepared.selected[event] === 0) continue
        if (tau[event] > best) best = tau[event]
      }
      newest[row] = best
    }
  }
  return newest
}

/** The tiles of one track: per group its distinct tile numbers, ascending, and per event the rank of its tile within its group (−1: not selected). */
class TrackTiles {
  readonly track: Track
  readonly rank: Int32Array
  /** groups + 1 offsets into `tiles`. */
  readonly tileStart: Int32Array
  readonly tiles: Float64Array
  tilesOfGroupMax = 0

  constructor(track: Track, input: SweepInput) {
    const { batch, selected } = input.prepared
    this.track = track
    this.rank = new Int32Array(batch.length)
    this.tileStart = new Int32Array(input.groups + 1)
    this.tiles = new Float64Array(batch.length)
    let count = 0
    for (let group = 0; group < input.groups; group++) {
      const from = input.eventStart[group]
      const to = input.eventStart[group + 1]
      const first = count
      let ascending = true
      for (let i = from; i < to; i++) {
        if (selected !== null && selected[i] === 0) continue
        const tile = tileOf(batch.tau[i], track.hopMs)
        if (count === first || tile > this.tiles[count - 1]) this.tiles[count++] = tile
        else if (tile < this.tiles[count - 1]) {
          this.tiles[count++] = tile
          ascending = false
        }
      }
      if (!ascending) count = first + sortUnique(this.tiles.subarray(first, count))
      this.#rankEvents(input, from, to, first, count)
      this.tileStart[group + 1] = count
      this.tilesOfGroupMax = Math.max(this.tilesOfGroupMax, count - first)
    }
  }

  #rankEvents(input: SweepInput, from: number, to: number, first: number, end: number): void {
    const { batch, selected } = input.prepared
    let at = first
    for (let i = from; i < to; i++) {
      if (selected !== null && selected[i] === 0) {
        this.rank[i] = -1
        continue
      }
      const tile = tileOf(batch.tau[i], this.track.hopMs)
      if (this.tiles[at] !== tile) {
        if (at + 1 < end && this.tiles[at + 1] === tile) at++
        else at = first + lowerBound(this.tiles.subarray(first, end), tile)
      }
      this.rank[i] = at - first
    }
  }
}

function sortUnique(tiles: Float64Array): number {
  tiles.sort()
  let count = 0
  for (let i = 0; i < tiles.length; i++) if (count === 0 || tiles[i] !== tiles[count - 1]) tiles[count++] = tiles[i]
  return count
}

/** One window of a slot while sliding over a group. */
interface Running {
  readonly tiles: number
  readonly cells: Cells
  readonly readers: Slot['windows'][number]['readers']
  /** Rank of the window's oldest tile. */
  start: number
}

/** Sweeps one accumulator of a track over all groups. */
class SlotSweep {
  readonly #tiles: TrackTiles
  readonly #input: SweepInput
  readonly #out: readonly ResultColumn[]
  readonly #slotInput: SlotInput
  readonly #cellOf: Int32Array
  readonly #scratchOf: Int32Array
  readonly #cells: Cells
  readonly #windows: readonly Running[]

  constructor(kernel: ViewKernel, slot: Slot, tiles: TrackTiles, input: SweepInput, out: readonly ResultColumn[]) {
    const events = input.prepared.batch.length
    this.#tiles = tiles
    this.#input = input
    this.#out = out
    this.#slotInput = kernel.slotInput(slot, input.prepared)
    const { column, bucket } = this.#slotInput
    this.#scratchOf = new Int32Array(events)
    this.#cellOf = withoutNulls(slot, column, bucket, tiles.rank, new Int32Array(events), 0, events)
    this.#cells = slot.spec.create()
    this.#cells.grow(tiles.tilesOfGroupMax)
    this.#windows = slot.windows.map((window) => {
      const cells = slot.spec.create()
      cells.grow(1)
      return { tiles: window.tiles, cells, readers: window.readers, start: 0 }
    })
  }

  run(): void {
    const { groups, eventStart, rowStart, visible, t } = this.#input
    for (let group = 0; group < groups; group++) {
      const firstRow = rowStart[group]
      const endRow = rowStart[group + 1]
      if (firstRow === endRow) continue
      const firstEvent = eventStart[group]
      const tiles = this.#tiles.tiles.subarray(this.#tiles.tileStart[group], this.#tiles.tileStart[group + 1])
      this.#cells.clear(0, tiles.length)
      for (const window of this.#windows) {
        window.cells.clear(0, 1)
        window.start = 0
      }
      let applied = firstEvent
      for (let row = firstRow; row < endRow; row++) {
        const end = firstEvent + visible[row]
        for (const window of this.#windows) this.#moveStart(window, tiles, t[row])
        if (end > applied) {
          this.#cells.update(this.#cellOf, this.#slotInput, applied, end)
          for (const window of this.#windows) this.#addToWindow(window, applied, end)
          applied = end
        }
        for (const window of this.#windows) {
          for (const { feature, aggregator } of window.readers) {
            aggregator.read(window.cells, 0, t[row], this.#out[feature], row)
          }
        }
      }
    }
  }

  /** Lets go of tiles that left the window at t; takes tiles back in if t went down. */
  #moveStart(window: Running, tiles: Float64Array, t: number): void {
    const oldest = tileOf(t, this.#tiles.track.hopMs) - window.tiles
    let start = window.start
    if (start < tiles.length && tiles[start] < oldest) {
      do start++
      while (start < tiles.length && tiles[start] < oldest)
      this.#leave(window, window.start, start, tiles.length)
    } else if (start > 0 && tiles[start - 1] >= oldest) {
      start = lowerBound(tiles, oldest)
      window.cells.clear(0, 1)
      window.cells.mergeRun(0, this.#cells, start, tiles.length)
    }
    window.start = start
  }

  #leave(window: Running, from: number, to: number, end: number): void {
    const { cells } = window
    let left = false
    for (let tile = from; tile < to; tile++) {
      if (this.#cells.isEmpty(tile)) continue
      left = true
      if (cells.subtract === undefined) break
      cells.subtract(0, this.#cells, tile)
    }
    if (!left || cells.subtract !== undefined) return
    cells.clear(0, 1)
    cells.mergeRun(0, this.#cells, to, end)
  }

  #addToWindow(window: Running, from: number, to: number): void {
    const { start } = window
    for (let i = from; i < to; i++) this.#scratchOf[i] = this.#cellOf[i] >= start ? 0 : -1
    window.cells.update(this.#scratchOf, this.#slotInput, from, to)
  }
}
