import type { Cells } from '../aggregation/cells.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { invariant } from '../errors/tidemark-error.ts'
import type { Column } from '../values/column.ts'
import { ByteReader } from '../values/byte-reader.ts'
import { ByteWriter } from '../values/byte-writer.ts'
import { isMissing, settleRow } from './rules.ts'
import type { PreparedBatch, Slot, Track, ViewKernel } from './view-kernel.ts'

/*
 * An entity's state, packed:
 *
 *   u8      1 (format)
 *   svarint newest τ (ms) of the events that passed `where`
 *   per track, in order of hop (lifetime last):
 *     varint  number of tiles
 *     svarint number of the first tile; then per further tile: varint difference to the one before
 *     per slot, per tile: the cell's canonical bytes
 *
 * Tiles are those that hold an event which passed `where` and that some window at t ≥ newest τ + 1 can still reach, so the bytes are a
 * function of the set of events applied.
 */
const FORMAT = 1

interface TrackState {
  /** Ascending tile numbers, and the cell of each. */
  readonly tiles: number[]
  readonly cells: number[]
}

interface EntityState {
  newestTau: number
  readonly tracks: readonly TrackState[]
}

/** The cells of one track for all entities: a tile's cell has the same number in every slot's column. */
class TrackCells {
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

/** States of many entities of one view version, addressed by slot number. Not shared between threads. */
export class StateTable {
  readonly kernel: ViewKernel
  readonly #tracks: readonly TrackCells[]
  readonly #entities: (EntityState | null)[] = []
  readonly #freeSlots: number[] = []
  readonly #writer = new ByteWriter(4096)
  #cellOf = new Int32Array(0)
  #inputCellOf = new Int32Array(0)

  constructor(kernel: ViewKernel) {
    this.kernel = kernel
    this.#tracks = kernel.tracks.map((track) => new TrackCells(track))
  }

  /** A new entity without events. */
  open(): number {
    const entity = { newestTau: -Infinity, tracks: this.#tracks.map(() => ({ tiles: [], cells: [] })) }
    const reused = this.#freeSlots.pop()
    if (reused === undefined) return this.#entities.push(entity) - 1
    this.#entities[reused] = entity
    return reused
  }

  close(slot: number): void {
    this.#release(this.#entity(slot))
    this.#entities[slot] = null
    this.#freeSlots.push(slot)
  }

  newestTau(slot: number): number {
    return slot < 0 ? -Infinity : this.#entity(slot).newestTau
  }

  /** Adds the batch's events: event i to the entity `slots[i]`, skipped where negative or where it did not pass `where`. */
  apply(prepared: PreparedBatch, slots: Int32Array): void {
    const { batch, selected } = prepared
    const { length, tau } = batch
    const touched = new Set<EntityState>()
    for (let i = 0; i < length; i++) {
      if (slots[i] < 0 || (selected !== null && selected[i] === 0)) continue
      const entity = this.#entity(slots[i])
      if (tau[i] > entity.newestTau) entity.newestTau = tau[i]
      touched.add(entity)
    }
    if (touched.size === 0) return
    if (this.#cellOf.length < length) {
      this.#cellOf = new Int32Array(length)
      this.#inputCellOf = new Int32Array(length)
    }
    this.#tracks.forEach((cells, number) => {
      this.#assignTiles(cells, number, prepared, slots)
      for (let s = 0; s < cells.columns.length; s++) {
        const slot = cells.track.slots[s]
        const input = this.kernel.slotInput(slot, prepared)
        const cellOf = withoutNulls(slot, input.column, input.bucket, this.#cellOf, this.#inputCellOf, 0, length)
        cells.columns[s].update(cellOf, input, 0, length)
      }
      for (const entity of touched) evict(cells, entity, number)
    })
  }

  encode(slot: number): Uint8Array {
    const entity = this.#entity(slot)
    const writer = this.#writer
    writer.reset()
    writer.u8(FORMAT)
    invariant(entity.newestTau !== -Infinity, 'an entity without events has no encoded state')
    writer.svarint(entity.newestTau)
    this.#tracks.forEach(({ columns }, number) => {
      const { tiles, cells } = entity.tracks[number]
      writer.varint(tiles.length)
      for (let i = 0; i < tiles.length; i++) {
        if (i === 0) writer.svarint(tiles[0])
        else writer.varint(tiles[i] - tiles[i - 1])
      }
      for (const column of columns) for (const cell of cells) column.encode(cell, writer)
    })
    return writer.finish()
  }

  /** Replaces the entity's state. Throws RangeError on bytes that `encode` did not write. */
  decode(slot: number, bytes: Uint8Array): void {
    const entity = this.#entity(slot)
    this.#release(entity)
    const reader = new ByteReader(bytes)
    const format = reader.u8()
    if (format !== FORMAT) throw new RangeError(`state format ${format}, expected ${FORMAT}`)
    entity.newestTau = reader.svarint()
    this.#tracks.forEach((trackCells, number) => {
      const { tiles, cells } = entity.tracks[number]
      const count = reader.varint()
      if (count > reader.remaining) throw new RangeError(`state with ${count} tiles in ${reader.remaining} bytes`)
      for (let i = 0; i < count; i++) {
        tiles.push(i === 0 ? reader.svarint() : tiles[i - 1] + reader.varint())
        cells.push(trackCells.take())
      }
      for (const column of trackCells.columns) for (const cell of cells) column.decode(cell, reader)
    })
    if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a state`)
  }

  /** Values and statuses at t (> newest τ) into row `row` of `out`, one column per feature. `slot` −1: an entity without state. */
  evaluate(slot: number, t: number, out: readonly ResultColumn[], row: number): void {
    const newestTau = this.newestTau(slot)
    if (!isMissing(this.kernel, newestTau, t)) {
      const entity = this.#entity(slot)
      this.#tracks.forEach((cells, number) => readTrack(cells, entity.tracks[number], t, out, row))
    }
    settleRow(this.kernel, newestTau, t, out, row)
  }

  #entity(slot: number): EntityState {
    const entity = this.#entities[slot]
    invariant(entity !== null && entity !== undefined, `state slot ${slot} is not open`)
    return entity
  }

  #release(entity: EntityState): void {
    entity.newestTau = -Infinity
    entity.tracks.forEach((state, number) => {
      // In reverse, so that the next state taken gets neighbours in ascending order, which merge in one run.
      for (let i = state.cells.length - 1; i >= 0; i--) this.#tracks[number].give(state.cells[i])
      state.cells.length = 0
      state.tiles.length = 0
    })
  }

  #assignTiles(cells: TrackCells, number: number, prepared: PreparedBatch, slots: Int32Array): void {
    const { batch, selected } = prepared
    const { hopMs, tilesMax } = cells.track
    const cellOf = this.#cellOf
    for (let i = 0; i < batch.length; i++) {
      if (slots[i] < 0 || (selected !== null && selected[i] === 0)) {
        cellOf[i] = -1
        continue
      }
      const entity = this.#entities[slots[i]]!
      const tile = tileOf(batch.tau[i], hopMs)
      if (tile < tileOf(entity.newestTau + 1, hopMs) - tilesMax) cellOf[i] = -1
      else cellOf[i] = cellOfTile(cells, entity.tracks[number], tile)
    }
  }
}

/** Number of the tile that holds τ; a lifetime track has the one tile 0. */
export function tileOf(tau: number, hopMs: number): number {
  return hopMs === Infinity ? 0 : Math.floor(tau / hopMs)
}

/** `cellOf` with −1 where the slot's input or bucket is null: the one place where nulls are skipped. */
export function withoutNulls(
  slot: Slot,
  column: Column | null,
  bucket: Column | null,
  cellOf: Int32Array,
  target: Int32Array,
  from: number,
  to: number,
): Int32Array {
  const inputNulls = slot.seesNulls || column === null ? null : column.nulls
  const bucketNulls = bucket === null ? null : bucket.nulls
  if (inputNulls === null && bucketNulls === null) return cellOf
  for (let i = from; i < to; i++) {
    const skipped = (inputNulls !== null && inputNulls[i] === 1) || (bucketNulls !== null && bucketNulls[i] === 1)
    target[i] = skipped ? -1 : cellOf[i]
  }
  return target
}

function cellOfTile(cells: TrackCells, state: TrackState, tile: number): number {
  const { tiles } = state
  let at = tiles.length
  if (at > 0 && tiles[at - 1] === tile) return state.cells[at - 1]
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

function evict(cells: TrackCells, entity: EntityState, number: number): void {
  const { hopMs, tilesMax } = cells.track
  const limit = tileOf(entity.newestTau + 1, hopMs) - tilesMax
  const { tiles, cells: numbers } = entity.tracks[number]
  let count = 0
  while (count < tiles.length && tiles[count] < limit) cells.give(numbers[count++])
  if (count > 0) {
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

/** Merges tiles from the newest back; each window is read when its oldest tile is in. */
function readTrack(cells: TrackCells, state: TrackState, t: number, out: readonly ResultColumn[], row: number): void {
  const { track, columns, scratch } = cells
  const current = tileOf(t, track.hopMs)
  for (let s = 0; s < columns.length; s++) {
    scratch[s].clear(0, 1)
    let merged = state.tiles.length
    for (const window of track.slots[s].windows) {
      const start = Math.min(lowerBound(state.tiles, current - window.tiles), merged)
      mergeCells(scratch[s], columns[s], state.cells, start, merged)
      merged = start
      for (const { feature, aggregator } of window.readers) aggregator.read(scratch[s], 0, t, out[feature], row)
    }
  }
}

/** Merges the cells numbers[from…to−1], neighbours in one call. */
function mergeCells(into: Cells, source: Cells, numbers: readonly number[], from: number, to: number): void {
  let end = to
  while (end > from) {
    let start = end - 1
    while (start > from && numbers[start - 1] === numbers[start] - 1) start--
    into.mergeRun(0, source, numbers[start], numbers[end - 1] + 1)
    end = start
  }
}
