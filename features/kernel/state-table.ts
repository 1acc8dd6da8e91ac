import type { Cells } from '../aggregation/cells.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { invariant } from '../errors/tidemark-error.ts'
import type { Column } from '../values/column.ts'
import { ByteWriter } from '../values/byte-writer.ts'
import { isMissing, settleRow } from './rules.ts'
import { decodeParts, encodeOpen, encodeSealed, SEALED_INLINE_BYTES_MAX } from './state-encoding.ts'
import type { StateChange, StateParts } from './state-parts.ts'
import { lowerBound, oldestTile, tileOf, TrackCells } from './track-cells.ts'
import type { PreparedBatch, Slot, ViewKernel } from './view-kernel.ts'

export { lowerBound, oldestTile, tileOf } from './track-cells.ts'

/** States of many entities of one view version, addressed by slot number. Not shared between threads. */
export class StateTable {
  readonly kernel: ViewKernel
  readonly #tracks: readonly TrackCells[]
  readonly #writer = new ByteWriter(4096)
  readonly #freeSlots: number[] = []
  #slots = 0
  /** By slot: whether it is open, the newest τ, and what the store holds. */
  #isOpen = new Uint8Array(0)
  #newestTau = new Float64Array(0)
  /** Whether events were added since the state was stored last. */
  #changed = new Uint8Array(0)
  /** Whether the sealed part may differ from the one last stored, its length when last encoded, and whether the store holds it apart. */
  #sealedChanged = new Uint8Array(0)
  #sealedBytes = new Int32Array(0)
  #sealedApart = new Uint8Array(0)
  /** By slot: tiles of the track at hand below this are out of reach of every window at t ≥ newest τ + 1. */
  #limit = new Float64Array(0)
  /** By slot: the batch that touched it last. */
  #touchedIn = new Float64Array(0)
  #batch = 0
  #touched = new Int32Array(0)
  #cellOf = new Int32Array(0)
  #inputCellOf = new Int32Array(0)

  constructor(kernel: ViewKernel) {
    this.kernel = kernel
    this.#tracks = kernel.tracks.map((track) => new TrackCells(track))
  }

  /** A new entity without events. */
  open(): number {
    const slot = this.#freeSlots.pop() ?? this.#slots++
    if (slot === this.#isOpen.length) this.#widen(Math.max(16, 2 * slot))
    this.#isOpen[slot] = 1
    this.#forget(slot)
    return slot
  }

  close(slot: number): void {
    this.#release(this.#checked(slot))
    this.#isOpen[slot] = 0
    this.#freeSlots.push(slot)
  }

  newestTau(slot: number): number {
    return slot < 0 ? -Infinity : this.#newestTau[this.#checked(slot)]
  }

  /** Adds the batch's events: event i to the entity `slots[i]`, skipped where negative or where it did not pass `where`. */
  apply(prepared: PreparedBatch, slots: Int32Array): void {
    const { length } = prepared.batch
    if (this.#cellOf.length < length) {
      this.#cellOf = new Int32Array(length)
      this.#inputCellOf = new Int32Array(length)
      this.#touched = new Int32Array(length)
    }
    const touched = this.#touch(prepared, slots)
    if (touched === 0) return
    for (const cells of this.#tracks) {
      const { hopMs, tilesMax } = cells.track
      for (let i = 0; i < touched; i++) {
        const entity = this.#touched[i]
        this.#limit[entity] = tileOf(this.#newestTau[entity] + 1, hopMs) - tilesMax
      }
      this.#assignTiles(cells, prepared, slots)
      for (let s = 0; s < cells.columns.length; s++) {
        const slot = cells.track.slots[s]
        const input = this.kernel.slotInput(slot, prepared)
        const cellOf = withoutNulls(slot, input.column, input.bucket, this.#cellOf, this.#inputCellOf, 0, length)
        cells.columns[s].update(cellOf, input, 0, length)
      }
      for (let i = 0; i < touched; i++) {
        const entity = this.#touched[i]
        if (cells.evict(entity, this.#limit[entity])) this.#sealedChanged[entity] = 1
      }
    }
  }

  /** Whether events were added since the state was stored last (by `decode` or `markStored`). */
  isChanged(slot: number): boolean {
    return this.#changed[this.#checked(slot)] === 1
  }

  /** Tiles held in memory, of all entities. */
  get tiles(): number {
    return this.#tracks.reduce((sum, cells) => sum + cells.held, 0)
  }

  /** Both parts. The entity has had an event. */
  encode(slot: number): StateParts {
    const sealed = encodeSealed(this.#tracks, this.#checked(slot), this.#writer)
    return {
      open: this.#encodeOpen(slot, sealed.length, sealed),
      sealed: sealed.length > SEALED_INLINE_BYTES_MAX ? sealed : null,
    }
  }

  /** What makes the parts that were stored last (by `decode` or `markStored`) those of now. The entity has had an event. */
  encodeChange(slot: number): StateChange {
    const isApart = this.#sealedApart[this.#checked(slot)] === 1
    if (this.#sealedChanged[slot] === 0 && isApart)
      return { open: this.#encodeOpen(slot, this.#sealedBytes[slot], null) }
    const sealed = encodeSealed(this.#tracks, slot, this.#writer)
    this.#sealedBytes[slot] = sealed.length
    const open = this.#encodeOpen(slot, sealed.length, sealed)
    if (sealed.length > SEALED_INLINE_BYTES_MAX) return { open, sealed }
    return isApart ? { open, sealed: null } : { open }
  }

  /** The store now holds what `encodeChange` gave. */
  markStored(slot: number): void {
    this.#changed[this.#checked(slot)] = 0
    this.#sealedChanged[slot] = 0
    this.#sealedApart[slot] = this.#sealedBytes[slot] > SEALED_INLINE_BYTES_MAX ? 1 : 0
  }

  /** Replaces the entity's state. Throws RangeError on parts that were not encoded together. */
  decode(slot: number, parts: StateParts): void {
    this.#release(this.#checked(slot))
    const { newestTau, sealedBytes } = decodeParts(this.#tracks, slot, parts)
    this.#newestTau[slot] = newestTau
    this.#sealedBytes[slot] = sealedBytes
    this.#sealedApart[slot] = sealedBytes > SEALED_INLINE_BYTES_MAX ? 1 : 0
  }

  /** Values and statuses at t (> newest τ) into row `row` of `out`, one column per feature. `slot` −1: an entity without state. */
  evaluate(slot: number, t: number, out: readonly ResultColumn[], row: number): void {
    const newestTau = this.newestTau(slot)
    if (!isMissing(this.kernel, newestTau, t)) for (const cells of this.#tracks) readTrack(cells, slot, t, out, row)
    settleRow(this.kernel, newestTau, t, out, row)
  }

  #checked(slot: number): number {
    invariant(this.#isOpen[slot] === 1, `state slot ${slot} is not open`)
    return slot
  }

  #widen(slots: number): void {
    this.#isOpen = widened(this.#isOpen, slots)
    this.#newestTau = widened(this.#newestTau, slots)
    this.#changed = widened(this.#changed, slots)
    this.#sealedChanged = widened(this.#sealedChanged, slots)
    this.#sealedBytes = widened(this.#sealedBytes, slots)
    this.#sealedApart = widened(this.#sealedApart, slots)
    this.#limit = widened(this.#limit, slots)
    this.#touchedIn = widened(this.#touchedIn, slots)
    for (const { rings } of this.#tracks) rings.reserve(slots)
  }

  #forget(slot: number): void {
    this.#newestTau[slot] = -Infinity
    this.#changed[slot] = 0
    this.#sealedChanged[slot] = 0
    this.#sealedBytes[slot] = 0
    this.#sealedApart[slot] = 0
  }

  #release(slot: number): void {
    this.#forget(slot)
    for (const cells of this.#tracks) cells.release(slot)
  }

  #encodeOpen(slot: number, sealedBytes: number, sealed: Uint8Array | null): Uint8Array {
    const newestTau = this.#newestTau[slot]
    return encodeOpen(this.#tracks, slot, { newestTau, sealedBytes, sealed }, this.#writer)
  }

  /** Moves the newest τ of the entities on. Returns how many they are: their slots are the first of `#touched`. */
  #touch({ batch, selected }: PreparedBatch, slots: Int32Array): number {
    const { length, tau } = batch
    const number = ++this.#batch
    let touched = 0
    for (let i = 0; i < length; i++) {
      const slot = slots[i]
      if (slot < 0 || (selected !== null && selected[i] === 0)) continue
      if (this.#touchedIn[slot] !== number) {
        this.#touchedIn[this.#checked(slot)] = number
        this.#touched[touched++] = slot
        this.#changed[slot] = 1
      }
      if (tau[i] > this.#newestTau[slot]) this.#newestTau[slot] = tau[i]
    }
    return touched
  }

  #assignTiles(cells: TrackCells, { batch, selected }: PreparedBatch, slots: Int32Array): void {
    const { track, rings } = cells
    const { tau, length } = batch
    const cellOf = this.#cellOf
    for (let i = 0; i < length; i++) {
      const slot = slots[i]
      if (slot < 0 || (selected !== null && selected[i] === 0)) {
        cellOf[i] = -1
        continue
      }
      const tile = tileOf(tau[i], track.hopMs)
      if (tile < this.#limit[slot]) {
        cellOf[i] = -1
        continue
      }
      const count = rings.count(slot)
      // Only the newest tile is in the open part.
      if (count > 0 && rings.tile(slot, count - 1) !== tile) this.#sealedChanged[slot] = 1
      cellOf[i] = cells.cellOf(slot, tile)
    }
  }
}

function widened<A extends Float64Array | Int32Array | Uint8Array>(array: A, length: number): A {
  const wider = new (array.constructor as new (length: number) => A)(length)
  wider.set(array)
  return wider
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
function readTrack(cells: TrackCells, entity: number, t: number, out: readonly ResultColumn[], row: number): void {
  const { track, columns, scratch } = cells
  const count = cells.gather(entity)
  const { gatheredTiles, gatheredCells } = cells
  for (let s = 0; s < columns.length; s++) {
    scratch[s].clear(0, 1)
    let merged = count
    for (const window of track.slots[s].windows) {
      const start = lowerBound(gatheredTiles, oldestTile(t, track.hopMs, window.tiles), merged)
      mergeCells(scratch[s], columns[s], gatheredCells, start, merged)
      merged = start
      for (const { feature, aggregator } of window.readers) aggregator.read(scratch[s], 0, t, out[feature], row)
    }
  }
}

/** Merges the cells numbers[from…to−1], neighbours in one call. */
function mergeCells(into: Cells, source: Cells, numbers: Int32Array, from: number, to: number): void {
  let end = to
  while (end > from) {
    let start = end - 1
    while (start > from && numbers[start - 1] === numbers[start] - 1) start--
    into.mergeRun(0, source, numbers[start], numbers[end - 1] + 1)
    end = start
  }
}
