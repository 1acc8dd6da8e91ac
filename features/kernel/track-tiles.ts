import { lowerBound, tileOf } from './state-table.ts'
import type { SweepInput } from './sweep.ts'
import type { Track } from './view-kernel.ts'

/** The tiles of one track and one group at a time: its distinct tile numbers, ascending, and per event the rank of its tile (−1: not selected). */
export class TrackTiles {
  readonly track: Track
  /** Valid for the events of the open group. */
  readonly rank: Int32Array
  /** The first `count` are the group's. */
  tiles = new Float64Array(64)
  count = 0
  readonly #input: SweepInput
  #group = -1
  #found = false

  constructor(track: Track, input: SweepInput) {
    this.track = track
    this.#input = input
    this.rank = new Int32Array(input.prepared.batch.length)
  }

  openGroup(group: number): void {
    this.#group = group
    this.#found = false
  }

  /** Finds the tiles of the open group, unless that was done. */
  find(): this {
    if (this.#found) return this
    this.#found = true
    const from = this.#input.eventStart[this.#group]
    const to = this.#input.eventStart[this.#group + 1]
    if (this.tiles.length < to - from) this.tiles = new Float64Array(Math.max(to - from, 2 * this.tiles.length))
    this.#collect(from, to)
    this.#rankEvents(from, to)
    return this
  }

  #collect(from: number, to: number): void {
    const { batch, selected } = this.#input.prepared
    const { hopMs } = this.track
    let count = 0
    let ascending = true
    for (let i = from; i < to; i++) {
      if (selected !== null && selected[i] === 0) continue
      const tile = tileOf(batch.tau[i], hopMs)
      if (count === 0 || tile > this.tiles[count - 1]) this.tiles[count++] = tile
      else if (tile < this.tiles[count - 1]) {
        this.tiles[count++] = tile
        ascending = false
      }
    }
    this.count = ascending ? count : sortUnique(this.tiles.subarray(0, count))
  }

  #rankEvents(from: number, to: number): void {
    const { batch, selected } = this.#input.prepared
    const { tiles, rank, count } = this
    const { hopMs } = this.track
    let at = 0
    for (let i = from; i < to; i++) {
      if (selected !== null && selected[i] === 0) {
        rank[i] = -1
        continue
      }
      const tile = tileOf(batch.tau[i], hopMs)
      if (tiles[at] !== tile) {
        if (at + 1 < count && tiles[at + 1] === tile) at++
        else at = lowerBound(tiles, tile, count)
      }
      rank[i] = at
    }
  }
}

function sortUnique(tiles: Float64Array): number {
  tiles.sort()
  let count = 0
  for (let i = 0; i < tiles.length; i++) if (count === 0 || tiles[i] !== tiles[count - 1]) tiles[count++] = tiles[i]
  return count
}
