import { exp2 } from '../exact/elementary.ts'
import { roundRatio, scaleByPowerOfTwo } from '../exact/round-ratio.ts'
import { addScaled, readScaled, scaledOf, writeScaled } from '../exact/scaled-integer.ts'
import type { ScaledInteger } from '../exact/scaled-integer.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'

/** Half-lives that count: an event older than the newest by more is worth less than 2^−63 of itself and counts as 0. */
const EPOCHS = 64

/** Σ by epoch number; `newest` is the greatest epoch of any event. */
export interface DecayedSum {
  newest: number
  readonly epochs: Map<number, ScaledInteger>
}

/*
 * Σ x · 2^−((t − τ) / halfLife). Epochs are fixed: epoch k holds τ in [k·H, (k + 1)·H), H = halfLife in ms. Within it an event counts x · w, where
 * w = 2^((τ − k·H) / H) is a double computed from τ and H alone (elementary.ts) and the product is exact; products are added exactly. So a state is a
 * function of the set of events. Epochs more than 63 below the newest are dropped: those of a part are also dropped in the whole, in any order.
 *
 *   svarint newest epoch, varint number of epochs, per epoch, newest first: varint newest − epoch, sum (see scaled-integer.ts)
 *
 * Read at t: the epochs' sums, weighted 2^(k − newest) exactly, are added and rounded once, then scaled by the power of two and by the weight of t
 * within its own epoch (one more rounding each).
 */
export class DecayedSumFold implements Fold<DecayedSum> {
  readonly halfLifeMs: number

  constructor(halfLifeMs: number) {
    this.halfLifeMs = halfLifeMs
  }

  create(): DecayedSum {
    return { newest: -Infinity, epochs: new Map() }
  }

  isEmpty(state: DecayedSum): boolean {
    return state.newest === -Infinity
  }

  adder(input: SlotInput): (state: DecayedSum, row: number) => void {
    const { column, tau } = input
    if (column === null) return (state, row) => this.#addEvent(state, tau[row], 1n, 0)
    if (column.storage === 'int64') {
      const { values } = column
      return (state, row) => this.#addEvent(state, tau[row], values[row], 0)
    }
    if (column.storage !== 'number') throw new TypeError('decayedSum reads numbers')
    const { values } = column
    return (state, row) => {
      const { mantissa, exponent } = scaledOf(values[row])
      this.#addEvent(state, tau[row], mantissa, exponent)
    }
  }

  merge(into: DecayedSum, from: DecayedSum): void {
    this.#advance(into, from.newest)
    for (const [epoch, sum] of from.epochs) this.#add(into, epoch, sum.mantissa, sum.exponent)
  }

  encode(state: DecayedSum, writer: ByteWriter): void {
    const epochs = [...state.epochs.keys()].sort((a, b) => b - a)
    writer.svarint(state.newest)
    writer.varint(epochs.length)
    for (const epoch of epochs) {
      writer.varint(state.newest - epoch)
      writeScaled(sumOf(state, epoch), writer)
    }
  }

  decode(reader: ByteReader): DecayedSum {
    const state: DecayedSum = { newest: reader.svarint(), epochs: new Map() }
    const length = reader.varint()
    for (let i = 0; i < length; i++) state.epochs.set(state.newest - reader.varint(), readScaled(reader))
    return state
  }

  /** The value at t; ±Infinity beyond the doubles. The state is not empty. */
  valueAt(state: DecayedSum, t: number): number {
    const total: ScaledInteger = { mantissa: 0n, exponent: 0 }
    for (const [epoch, sum] of state.epochs) addScaled(total, sum.mantissa, sum.exponent + epoch - state.newest)
    const { mantissa, exponent } = total
    const rounded = roundRatio(
      exponent > 0 ? mantissa << BigInt(exponent) : mantissa,
      1n << BigInt(exponent > 0 ? 0 : -exponent),
    )
    const epoch = Math.floor(t / this.halfLifeMs)
    return scaleByPowerOfTwo(rounded, state.newest - epoch) / this.#weight(t, epoch) + 0
  }

  #addEvent(state: DecayedSum, tau: number, mantissa: bigint, exponent: number): void {
    const epoch = Math.floor(tau / this.halfLifeMs)
    const weight = scaledOf(this.#weight(tau, epoch))
    this.#advance(state, epoch)
    this.#add(state, epoch, mantissa * weight.mantissa, exponent + weight.exponent)
  }

  #weight(time: number, epoch: number): number {
    return exp2((time - epoch * this.halfLifeMs) / this.halfLifeMs)
  }

  #advance(state: DecayedSum, newest: number): void {
    if (newest <= state.newest) return
    state.newest = newest
    for (const epoch of state.epochs.keys()) if (epoch <= newest - EPOCHS) state.epochs.delete(epoch)
  }

  #add(state: DecayedSum, epoch: number, mantissa: bigint, exponent: number): void {
    if (epoch <= state.newest - EPOCHS) return
    let sum = state.epochs.get(epoch)
    if (sum === undefined) {
      sum = { mantissa: 0n, exponent: 0 }
      state.epochs.set(epoch, sum)
    }
    addScaled(sum, mantissa, exponent)
  }
}

function sumOf(state: DecayedSum, epoch: number): ScaledInteger {
  return state.epochs.get(epoch) ?? { mantissa: 0n, exponent: 0 }
}
