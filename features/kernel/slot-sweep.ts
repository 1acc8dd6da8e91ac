import type { Cells, SlotInput } from '../aggregation/cells.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { lowerBound, oldestTile, withoutNulls } from './state-table.ts'
import type { SweepInput } from './sweep.ts'
import type { TrackTiles } from './track-tiles.ts'
import type { Slot, ViewKernel } from './view-kernel.ts'

/** One window of a slot while sliding over a group. */
interface Running {
  readonly tiles: number
  readonly readers: Slot['windows'][number]['readers']
  /** Cell 0: with an inverse the whole window, else its tiles from `middle` on. Cell 1: scratch. */
  readonly cells: Cells
  /** Without an inverse: cell k is the merge of the tiles k…middle − 1. */
  readonly suffixes: Cells
  /** Rank of the window's oldest tile. */
  start: number
  middle: number
}

/**
 * Sweeps one accumulator over a group at a time, on the cells that a streamed state has. Tiles that leave a window are subtracted where the kind has an
 * exact inverse. Where it has none, a window is two stacks: merges of its older tiles up to `middle`, one per tile, and one running state of the rest; a
 * tile leaves by going on to the next merge. A late event of an older tile is added to each merge that holds its tile.
 */
export class SlotSweep {
  readonly #slot: Slot
  readonly #input: SweepInput
  readonly #place: Int32Array
  readonly #out: readonly ResultColumn[]
  readonly #kernel: ViewKernel
  #slotInput: SlotInput | null = null
  readonly #cells: Cells
  readonly #windows: readonly Running[]
  readonly #hasInverse: boolean
  #cellOf = new Int32Array(0)
  #windowCellOf = new Int32Array(0)
  #capacity = 0

  constructor(kernel: ViewKernel, slot: Slot, input: SweepInput, place: Int32Array, out: readonly ResultColumn[]) {
    this.#slot = slot
    this.#input = input
    this.#place = place
    this.#out = out
    this.#kernel = kernel
    this.#cells = slot.spec.create()
    this.#hasInverse = this.#cells.subtract !== undefined
    this.#windows = slot.windows.map((window) => {
      const cells = slot.spec.create()
      cells.grow(2)
      return { tiles: window.tiles, readers: window.readers, cells, suffixes: slot.spec.create(), start: 0, middle: 0 }
    })
  }

  run(group: number, track: TrackTiles): void {
    const slotInput = (this.#slotInput ??= this.#kernel.slotInput(this.#slot, this.#input.prepared))
    const { eventStart, rowStart, visible, t } = this.#input
    const { rank, tiles, count } = track.find()
    const firstEvent = eventStart[group]
    const cellOf = this.#open(slotInput, rank, { from: firstEvent, to: eventStart[group + 1], tiles: count })
    let applied = firstEvent
    for (let row = rowStart[group]; row < rowStart[group + 1]; row++) {
      const end = firstEvent + visible[row]
      for (const window of this.#windows)
        this.#moveStart(window, tiles, count, oldestTile(t[row], track.track.hopMs, window.tiles))
      if (end > applied) {
        this.#cells.update(cellOf, slotInput, applied, end)
        for (const window of this.#windows) this.#addToWindow(window, slotInput, cellOf, { from: applied, to: end })
        applied = end
      }
      for (const window of this.#windows) {
        const cell = this.#cellOfWindow(window)
        for (const { feature, aggregator } of window.readers)
          aggregator.read(window.cells, cell, t[row], this.#out[feature], this.#place[row])
      }
    }
  }

  /** Makes room and empties everything; returns each event's tile rank, −1 where it is skipped. */
  #open(
    { column, bucket }: SlotInput,
    rank: Int32Array,
    { from, to, tiles }: { from: number; to: number; tiles: number },
  ): Int32Array {
    if (this.#cellOf.length === 0) {
      this.#cellOf = new Int32Array(rank.length)
      this.#windowCellOf = new Int32Array(rank.length)
    }
    if (tiles > this.#capacity) {
      this.#capacity = Math.max(tiles, 2 * this.#capacity)
      this.#cells.grow(this.#capacity)
      if (!this.#hasInverse) for (const { suffixes } of this.#windows) suffixes.grow(this.#capacity)
    }
    this.#cells.clear(0, tiles)
    for (const window of this.#windows) {
      window.cells.clear(0, 2)
      if (!this.#hasInverse) window.suffixes.clear(0, tiles)
      window.start = 0
      window.middle = 0
    }
    return withoutNulls(this.#slot, column, bucket, rank, this.#cellOf, from, to)
  }

  /** Lets go of tiles older than `oldest`; takes tiles back in if t went down. */
  #moveStart(window: Running, tiles: Float64Array, count: number, oldest: number): void {
    const { cells } = window
    let { start } = window
    const before = start
    if (start < count && tiles[start] < oldest) {
      do start++
      while (start < count && tiles[start] < oldest)
      window.start = start
      if (!this.#hasInverse) {
        if (start >= window.middle) this.#turn(window, count)
        return
      }
      for (let tile = before; tile < start; tile++)
        if (!this.#cells.isEmpty(tile)) cells.subtract?.(0, this.#cells, tile)
    } else if (start > 0 && tiles[start - 1] >= oldest) {
      window.start = lowerBound(tiles, oldest, count)
      if (this.#hasInverse) {
        cells.clear(0, 1)
        cells.mergeRun(0, this.#cells, window.start, count)
      } else this.#turn(window, count)
    }
  }

  /** All of a window's tiles become merges, the running state empty. */
  #turn(window: Running, count: number): void {
    const { suffixes, start } = window
    let middle = count
    while (middle > start && this.#cells.isEmpty(middle - 1)) middle--
    window.middle = middle
    window.cells.clear(0, 1)
    if (middle > start) suffixes.clear(start, middle)
    for (let tile = middle - 1; tile >= start; tile--) {
      suffixes.mergeRun(tile, this.#cells, tile, tile + 1)
      if (tile + 1 < middle) suffixes.mergeRun(tile, suffixes, tile + 1, tile + 2)
    }
  }

  #addToWindow(
    window: Running,
    input: SlotInput,
    cellOf: Int32Array,
    { from, to }: { from: number; to: number },
  ): void {
    const { start, middle } = window
    const first = this.#hasInverse ? start : Math.max(start, middle)
    const target = this.#windowCellOf
    let last = -1
    for (let i = from; i < to; i++) {
      target[i] = cellOf[i] >= first ? 0 : -1
      if (cellOf[i] >= start && cellOf[i] < first) last = Math.max(last, cellOf[i])
    }
    window.cells.update(target, input, from, to)
    for (let tile = start; tile <= last; tile++) {
      for (let i = from; i < to; i++) target[i] = cellOf[i] >= tile && cellOf[i] < middle ? tile : -1
      window.suffixes.update(target, input, from, to)
    }
  }

  #cellOfWindow({ start, middle, cells, suffixes }: Running): number {
    if (this.#hasInverse || start >= middle) return 0
    cells.clear(1, 2)
    cells.mergeRun(1, cells, 0, 1)
    cells.mergeRun(1, suffixes, start, start + 1)
    return 1
  }
}
