import { ln, powInteger } from '../exact/elementary.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'

const SMALLEST = 2 ** -1022

/** Number of values by bucket id; ids ascend with the values. */
export type QuantileSketch = Map<number, number>

/*
 * DDSketch (Masson, Rim, Lee 2019): bucket i holds the magnitudes in (γ^(i−1), γ^i], γ = (1 + e) / (1 − e) for relative error e. Ids order the whole
 * axis: 0 for zero (and magnitudes below 2^−1022), i + offset > 0 for positive values, the negated id of the magnitude for negative ones. Of more than
 * `bucketsMax` ids the highest are kept and the values below the lowest kept id count there: which id that is, and its count, depend on the set of
 * values only. Quantiles that fall into it lose the error bound, upwards.
 *
 *   varint number of buckets, per bucket ascending: svarint id (first) | varint difference to the one before, varint count
 */
export class QuantileSketchFold implements Fold<QuantileSketch> {
  readonly bucketsMax: number
  readonly #gamma: number
  readonly #lnGamma: number
  readonly #offset: number

  constructor(relativeError: number, bucketsMax: number) {
    this.bucketsMax = bucketsMax
    this.#gamma = (1 + relativeError) / (1 - relativeError)
    this.#lnGamma = ln(this.#gamma)
    this.#offset = 1 - Math.ceil(ln(SMALLEST) / this.#lnGamma)
  }

  create(): QuantileSketch {
    return new Map()
  }

  isEmpty(state: QuantileSketch): boolean {
    return state.size === 0
  }

  adder(input: SlotInput): (state: QuantileSketch, row: number) => void {
    const { column } = input
    if (column === null || (column.storage !== 'number' && column.storage !== 'int64'))
      throw new TypeError('quantiles read numbers')
    const { values } = column
    return (state, row) => this.#add(state, this.#idOf(Number(values[row])), 1)
  }

  merge(into: QuantileSketch, from: QuantileSketch): void {
    for (const [id, count] of from) this.#add(into, id, count)
  }

  encode(state: QuantileSketch, writer: ByteWriter): void {
    const ids = this.settle(state)
    writer.varint(ids.length)
    ids.forEach((id, i) => {
      if (i === 0) writer.svarint(id)
      else writer.varint(id - ids[i - 1])
      writer.varint(state.get(id) ?? 0)
    })
  }

  decode(reader: ByteReader): QuantileSketch {
    const state = this.create()
    const length = reader.varint()
    let id = 0
    for (let i = 0; i < length; i++) {
      id = i === 0 ? reader.svarint() : id + reader.varint()
      state.set(id, reader.varint())
    }
    return state
  }

  /** Value of rank ⌊1 + q·(n − 1)⌋ in ascending order, within the relative error. The sketch is not empty. */
  quantile(state: QuantileSketch, q: number): number {
    const ids = this.settle(state)
    let n = 0
    for (const count of state.values()) n += count
    const rank = Math.floor(1 + q * (n - 1))
    let seen = 0
    for (const id of ids) {
      seen += state.get(id) ?? 0
      if (seen >= rank) return this.#valueOf(id)
    }
    return this.#valueOf(ids[ids.length - 1])
  }

  /** Collapses the lowest buckets and returns the ids in order. */
  settle(state: QuantileSketch): number[] {
    const ids = [...state.keys()].sort((a, b) => a - b)
    const surplus = ids.length - this.bucketsMax
    if (surplus <= 0) return ids
    let collapsed = 0
    for (let i = 0; i <= surplus; i++) {
      collapsed += state.get(ids[i]) ?? 0
      if (i < surplus) state.delete(ids[i])
    }
    state.set(ids[surplus], collapsed)
    return ids.slice(surplus)
  }

  #add(state: QuantileSketch, id: number, count: number): void {
    state.set(id, (state.get(id) ?? 0) + count)
    if (state.size > 2 * this.bucketsMax + 16) this.settle(state)
  }

  #idOf(value: number): number {
    const magnitude = Math.abs(value)
    if (magnitude < SMALLEST) return 0
    const id = Math.ceil(ln(magnitude) / this.#lnGamma) + this.#offset
    return value < 0 ? -id : id
  }

  #valueOf(id: number): number {
    if (id === 0) return 0
    // γ^(i−1) · 2γ / (γ + 1): the middle of the bucket by relative error.
    const low = powInteger(this.#gamma, Math.abs(id) - this.#offset - 1)
    const value = Math.min(low * ((2 * this.#gamma) / (this.#gamma + 1)), Number.MAX_VALUE)
    return id < 0 ? -value : value
  }
}
