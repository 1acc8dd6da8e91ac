import type { Column } from '../values/column.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { AggregationPlan, FeaturePlan } from '../plan/view-plan.ts'
import type { ResultColumn } from './result-column.ts'

/** What cells read: the input values of a batch of events (null only for count-like slots) and each event's place in the order (τ, offset, index). */
export interface SlotInput {
  readonly column: Column | null
  readonly tau: Float64Array
  readonly offset: Float64Array
  readonly index: Int32Array
  /** The `bucketBy` column, for bucketed slots only; its nulls count as skipped. */
  readonly bucket: Column | null
}

/**
 * A column of accumulator states of one kind, addressed by cell number: the storage form of an aggregation, chosen for speed (struct of typed
 * arrays for numeric kinds). Each state is an element of a commutative monoid over events: any order of updates, any split into batches and
 * any merge tree give a state with the same encoded bytes. Cells never see nulls: whoever calls them skips null inputs (a negative cell number).
 *
 * Ownership: `merge` never changes the state it reads. States never share mutable parts.
 */
export interface Cells {
  /** Makes cells 0…count−1 usable; new ones are the identity. Never shrinks. */
  grow(count: number): void
  /** Back to the identity: cells from…to−1. */
  clear(from: number, to: number): void
  /** True if no event was ever added (the identity). */
  isEmpty(cell: number): boolean
  /** For each row in from…to−1: adds input row `row` to cell `cellOf[row]`; negative cells are skipped. */
  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void
  /** Merges `source` cells from…to−1 (a contiguous run) into `into` of this one. `source` may be this object; the run excludes `into`. */
  mergeRun(into: number, source: this, from: number, to: number): void
  /** Canonical bytes of one state. The identity has an encoding too. */
  encode(cell: number, writer: ByteWriter): void
  /** The canonical bytes of cells[0…count−1], one after the other: present where a loop here is faster than one around `encode`. */
  encodeMany?(cells: Int32Array, count: number, writer: ByteWriter): void
  /** Replaces the state of `cell`. Throws RangeError on truncated bytes. */
  decode(cell: number, reader: ByteReader): void
  /**
   * Exact inverse of mergeRun with one cell, where the kind has one (counts, exact sums): afterwards the state finalises as if that cell's
   * events had never been merged. Absent on kinds without inverse.
   */
  subtract?(into: number, source: this, cell: number): void
}

/** What identifies the state an aggregation needs; features whose slots are equal (same kind, params, input and hop) share one. */
export interface SlotSpec {
  readonly kind: string
  /** Kind-specific, JSON-clean. */
  readonly params: unknown
  create(): Cells
}

/** An aggregation, compiled for one feature: which state it needs and how its value is read from a state. */
export interface Aggregator {
  readonly slot: SlotSpec
  /**
   * Writes the value of one state to row `row` of `out`: value and status PRESENT, or null and EMPTY_WINDOW (no contributing event), or null and
   * INVALID (overflow, limit). Counts write 0 with EMPTY_WINDOW. `t` is the evaluation time in epoch ms (decayed kinds only).
   */
  read(cells: Cells, cell: number, t: number, out: ResultColumn, row: number): void
}

/** Compiles a feature's aggregation. Implemented in `compile-aggregation.ts`. */
export type CompileAggregation = (feature: FeaturePlan) => Aggregator
export type { AggregationPlan }
