import type { Cells } from '../aggregation/cells.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import { TileRings } from './tile-rings.ts'
import type { Track } from './view-kernel.ts'

/** The cells of one track for all entities: a tile's cell has the same number in every slot's column. */
export class TrackCells {
  readonly track: Track
  readonly columns: readonly Cells[]
  /** One spare cell per slot to merge windows in. */
  readonly scratch: readonly Cells[]
  /** The tiles of each entity, ascending, and the cell of each. */
  readonly rings = new TileRings()
  readonly #free: number[] = []
  #count = 0
  #capacity = 0
  /** What `gather` found. */
  gatheredTiles = new Float64Array(16)
  gatheredCells = new Int32Array(16)

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

  /** The cell of a tile that is not yet among the entity's: newer than all of them. */
  append(entity: number, tile: number): number {
    return this.insert(entity, this.rings.count(entity), tile)
  }

  /** The cell of a tile that is not yet among the entity's, and has its place at `index`. */
  insert(entity: number, index: number, tile: number): number {
    const cell = this.#take()
    this.rings.insert(entity, index, tile, cell)
    return cell
  }

  /** The cell of a tile, made if need be. */
  cellOf(entity: number, tile: number): number {
    const { rings } = this
    const count = rings.count(entity)
    if (count > 0) {
      const newest = rings.tile(entity, count - 1)
      if (newest === tile) return rings.cell(entity, count - 1)
      if (newest > tile) {
        const at = rings.lowerBound(entity, tile, count)
        if (rings.tile(entity, at) === tile) return rings.cell(entity, at)
        return this.insert(entity, at, tile)
      }
    }
    return this.append(entity, tile)
  }

  /** Lets go of the entity's tiles below `limit`, which no window at t ≥ newest τ + 1 can reach. Whether there was one. */
  evict(entity: number, limit: number): boolean {
    const { rings } = this
    let gone = false
    while (rings.count(entity) > 0 && rings.tile(entity, 0) < limit) {
      this.#give(rings.cell(entity, 0))
      rings.dropOldest(entity)
      gone = true
    }
    return gone
  }

  /** Lets go of all of the entity's tiles. */
  release(entity: number): void {
    const { rings } = this
    // In reverse, so that the next entity taken gets neighbours in ascending order, which merge in one run.
    for (let i = rings.count(entity) - 1; i >= 0; i--) this.#give(rings.cell(entity, i))
    rings.clear(entity)
  }

  /** The entity's tiles and cells, ascending, into `gatheredTiles` and `gatheredCells`; returns how many. */
  gather(entity: number): number {
    const count = this.rings.count(entity)
    if (count > this.gatheredTiles.length) {
      this.gatheredTiles = new Float64Array(2 * count)
      this.gatheredCells = new Int32Array(2 * count)
    }
    return this.rings.copy(entity, this.gatheredTiles, this.gatheredCells)
  }

  /** The canonical bytes of the cells of the entity's `count` oldest tiles, slot by slot. */
  encodeOldest(entity: number, count: number, writer: ByteWriter): void {
    this.gather(entity)
    const cells = this.gatheredCells
    for (const column of this.columns) {
      if (column.encodeMany !== undefined) column.encodeMany(cells, count, writer)
      else for (let i = 0; i < count; i++) column.encode(cells[i], writer)
    }
  }

  #take(): number {
    const reused = this.#free.pop()
    if (reused !== undefined) return reused
    const cell = this.#count++
    if (this.#count > this.#capacity) {
      this.#capacity = Math.max(this.#capacity * 2, 64)
      for (const cells of this.columns) cells.grow(this.#capacity)
    }
    return cell
  }

  #give(cell: number): void {
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

/** The least τ in a window of `tiles` hops at t; −Infinity for a lifetime. */
export function windowStart(t: number, hopMs: number, tiles: number): number {
  return oldestTile(t, hopMs, tiles) * hopMs
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
