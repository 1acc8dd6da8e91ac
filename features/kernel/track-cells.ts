import type { Cells } from '../aggregation/cells.ts'
import type { Track } from './view-kernel.ts'

export interface TrackState {
  /** Ascending tile numbers, and the cell of each. */
  readonly tiles: number[]
  readonly cells: number[]
  /** Tiles below this are out of reach of every window at t ≥ newest τ + 1. */
  limit: number
}

export interface EntityState {
  newestTau: number
  readonly tracks: readonly TrackState[]
  /** Whether events were added since the state was stored last. */
  changed: boolean
  /** Whether the sealed part may differ from the one last stored, its length when last encoded, and whether the store holds it apart. */
  sealedChanged: boolean
  sealedBytes: number
  sealedApart: boolean
}

/** The cells of one track for all entities: a tile's cell has the same number in every slot's column. */
export class TrackCells {
  readonly track: Track
  readonly columns: readonly Cells[]
  /** One spare cell per slot to merge windows in. */
  readonly scratch: readonly Cells[]
  readonly #free: number[] = []
  #count = 0
  #capacity = 0

  constructor(track: Track) {
    this.track = track
    this.columns = track.slots.map((slot) => slot.spec.create())
    this.scratch = track.slots.map((slot) => {
      const cells = slot.spec.create()
      cells.grow(1)
      return cells
    })
  }

  /** Cells in use. */
  get held(): number {
    return this.#count - this.#free.length
  }

  take(): number {
    const reused = this.#free.pop()
    if (reused !== undefined) return reused
    const cell = this.#count++
    if (this.#count > this.#capacity) {
      this.#capacity = Math.max(this.#capacity * 2, 64)
      for (const cells of this.columns) cells.grow(this.#capacity)
    }
    return cell
  }

  give(cell: number): void {
    for (const cells of this.columns) cells.clear(cell, cell + 1)
    this.#free.push(cell)
  }
}

/** Number of the tile that holds τ; a lifetime track has the one tile 0. */
export function tileOf(tau: number, hopMs: number): number {
  return hopMs === Infinity ? 0 : Math.floor(tau / hopMs)
}

/** Number of the oldest tile in a window of `tiles` hops at t: the window begins where this tile does. */
export function oldestTile(t: number, hopMs: number, tiles: number): number {
  return tileOf(t, hopMs) - tiles
}

/** The cell of a tile, made if need be. */
export function cellOfTile(cells: TrackCells, entity: EntityState, number: number, tile: number): number {
  const state = entity.tracks[number]
  const { tiles } = state
  let at = tiles.length
  if (at > 0 && tiles[at - 1] === tile) return state.cells[at - 1]
  if (at > 0) entity.sealedChanged = true
  if (at > 0 && tiles[at - 1] > tile) {
    at = lowerBound(tiles, tile)
    if (tiles[at] === tile) return state.cells[at]
  }
  const cell = cells.take()
  if (at === tiles.length) {
    tiles.push(tile)
    state.cells.push(cell)
  } else {
    tiles.splice(at, 0, tile)
    state.cells.splice(at, 0, cell)
  }
  return cell
}

/** Lets go of tiles that no window at t ≥ newest τ + 1 can reach. */
export function evict(cells: TrackCells, entity: EntityState, number: number): void {
  const { tiles, cells: numbers, limit } = entity.tracks[number]
  let count = 0
  while (count < tiles.length && tiles[count] < limit) cells.give(numbers[count++])
  if (count > 0) {
    entity.sealedChanged = true
    tiles.splice(0, count)
    numbers.splice(0, count)
  }
}

/** First index with `tiles[index] ≥ tile`. */
export function lowerBound(tiles: ArrayLike<number>, tile: number, end: number = tiles.length): number {
  let low = 0
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    if (tiles[middle] < tile) low = middle + 1
    else high = middle
  }
  return low
}
