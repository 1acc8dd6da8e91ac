import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'

/** A commutative monoid of states `S`, for kinds whose state is not a number or two. Same laws as `Cells`. */
export interface Fold<S> {
  create(): S
  /** Chooses the code for a batch's columns once; the result adds one row to a state. */
  adder(input: SlotInput): (state: S, row: number) => void
  merge(into: S, from: S): void
  isEmpty(state: S): boolean
  encode(state: S, writer: ByteWriter): void
  decode(reader: ByteReader): S
  /** Exact inverse of merge, where there is one. */
  subtract?(into: S, from: S): void
}

/** Cells of a fold, one object per state; the identity is no object. Canonical bytes: u8 0 (identity) | u8 1, the fold's bytes. */
export class FoldCells<S> implements Cells {
  readonly fold: Fold<S>
  readonly states: (S | null)[] = []
  /** Present where the fold has an inverse. */
  subtract?: (into: number, source: this, cell: number) => void

  constructor(fold: Fold<S>) {
    this.fold = fold
    const inverse = fold.subtract
    if (inverse === undefined) return
    this.subtract = (into, source, cell) => {
      const from = source.states[cell]
      if (from === null) return
      const state = this.at(into)
      inverse.call(fold, state, from)
      if (fold.isEmpty(state)) this.states[into] = null
    }
  }

  grow(count: number): void {
    while (this.states.length < count) this.states.push(null)
  }

  clear(from: number, to: number): void {
    this.states.fill(null, from, to)
  }

  isEmpty(cell: number): boolean {
    const state = this.states[cell]
    return state === null || this.fold.isEmpty(state)
  }

  /** The state of a cell, made if need be. */
  at(cell: number): S {
    return (this.states[cell] ??= this.fold.create())
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    const add = this.fold.adder(input)
    for (let row = from; row < to; row++) if (cellOf[row] >= 0) add(this.at(cellOf[row]), row)
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    for (let cell = from; cell < to; cell++) {
      const state = source.states[cell]
      if (state !== null) this.fold.merge(this.at(into), state)
    }
  }

  encode(cell: number, writer: ByteWriter): void {
    const state = this.states[cell]
    if (state === null || this.fold.isEmpty(state)) return writer.u8(0)
    writer.u8(1)
    this.fold.encode(state, writer)
  }

  decode(cell: number, reader: ByteReader): void {
    this.states[cell] = reader.u8() === 0 ? null : this.fold.decode(reader)
  }
}
