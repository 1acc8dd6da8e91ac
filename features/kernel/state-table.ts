import type { Cells } from '../aggregation/cells.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { invariant } from '../errors/tidemark-error.ts'
import type { Column } from '../values/column.ts'
import { ByteWriter } from '../values/byte-writer.ts'
import { isMissing, settleRow } from './rules.ts'
import { decodeParts, encodeOpen, encodeSealed, SEALED_INLINE_BYTES_MAX } from './state-encoding.ts'
import type { StateChange, StateParts } from './state-parts.ts'
import { cellOfTile, evict, lowerBound, oldestTile, tileOf, TrackCells } from './track-cells.ts'
import type { EntityState, TrackState } from './track-cells.ts'
import type { PreparedBatch, Slot, ViewKernel } from './view-kernel.ts'

export { lowerBound, oldestTile, tileOf } from './track-cells.ts'

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
    const entity: EntityState = {
      newestTau: -Infinity,
      tracks: this.#tracks.map(() => ({ tiles: [], cells: [], limit: -Infinity })),
      changed: false,
      sealedChanged: false,
      sealedBytes: 0,
      sealedApart: false,
    }
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
      entity.changed = true
      touched.add(entity)
    }
    if (touched.size === 0) return
    if (this.#cellOf.length < length) {
      this.#cellOf = new Int32Array(length)
      this.#inputCellOf = new Int32Array(length)
    }
    this.#tracks.forEach((cells, number) => {
      const { hopMs, tilesMax } = cells.track
      for (const { tracks, newestTau } of touched) tracks[number].limit = tileOf(newestTau + 1, hopMs) - tilesMax
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

  /** Whether events were added since the state was stored last (by `decode` or `markStored`). */
  isChanged(slot: number): boolean {
    return this.#entity(slot).changed
  }

  /** Tiles held in memory, of all entities. */
  get tiles(): number {
    return this.#tracks.reduce((sum, cells) => sum + cells.held, 0)
  }

  /** Both parts. The entity has had an event. */
  encode(slot: number): StateParts {
    const entity = this.#entity(slot)
    const sealed = encodeSealed(this.#tracks, entity, this.#writer)
    return {
      open: encodeOpen(this.#tracks, entity, sealed, this.#writer),
      sealed: sealed.length > SEALED_INLINE_BYTES_MAX ? sealed : null,
    }
  }

  /** What makes the parts that were stored last (by `decode` or `markStored`) those of now. The entity has had an event. */
  encodeChange(slot: number): StateChange {
    const entity = this.#entity(slot)
    if (!entity.sealedChanged && entity.sealedApart)
      return { open: encodeOpen(this.#tracks, entity, null, this.#writer) }
    const sealed = encodeSealed(this.#tracks, entity, this.#writer)
    entity.sealedBytes = sealed.length
    const open = encodeOpen(this.#tracks, entity, sealed, this.#writer)
    if (sealed.length > SEALED_INLINE_BYTES_MAX) return { open, sealed }
    return entity.sealedApart ? { open, sealed: null } : { open }
  }

  /** The store now holds what `encodeChange` gave. */
  markStored(slot: number): void {
    const entity = this.#entity(slot)
    entity.changed = false
    entity.sealedChanged = false
    entity.sealedApart = entity.sealedBytes > SEALED_INLINE_BYTES_MAX
  }

  /** Replaces the entity's state. Throws RangeError on parts that were not encoded together. */
  decode(slot: number, parts: StateParts): void {
    const entity = this.#entity(slot)
    this.#release(entity)
    decodeParts(this.#tracks, entity, parts)
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
    entity.changed = false
    entity.sealedChanged = false
    entity.sealedBytes = 0
    entity.sealedApart = false
    entity.tracks.forEach((state, number) => {
      // In reverse, so that the next state taken gets neighbours in ascending order, which merge in one run.
      for (let i = state.cells.length - 1; i >= 0; i--) this.#tracks[number].give(state.cells[i])
      state.cells.length = 0
      state.tiles.length = 0
    })
  }

  #assignTiles(cells: TrackCells, number: number, prepared: PreparedBatch, slots: Int32Array): void {
    const { batch, selected } = prepared
    const { hopMs } = cells.track
    const cellOf = this.#cellOf
    for (let i = 0; i < batch.length; i++) {
      if (slots[i] < 0 || (selected !== null && selected[i] === 0)) {
        cellOf[i] = -1
        continue
      }
      const entity = this.#entities[slots[i]]!
      const tile = tileOf(batch.tau[i], hopMs)
      if (tile < entity.tracks[number].limit) cellOf[i] = -1
      else cellOf[i] = cellOfTile(cells, entity, number, tile)
    }
  }
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

/** Merges tiles from the newest back; each window is read when its oldest tile is in. */
function readTrack(cells: TrackCells, state: TrackState, t: number, out: readonly ResultColumn[], row: number): void {
  const { track, columns, scratch } = cells
  for (let s = 0; s < columns.length; s++) {
    scratch[s].clear(0, 1)
    let merged = state.tiles.length
    for (const window of track.slots[s].windows) {
      const start = Math.min(lowerBound(state.tiles, oldestTile(t, track.hopMs, window.tiles)), merged)
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
