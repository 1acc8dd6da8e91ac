import { STATUS, setNull } from '../aggregation/result-column.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { columnValue } from '../values/column.ts'
import type { Column } from '../values/column.ts'
import { withoutValue } from './event-references.ts'
import type { SweepInput } from './sweep.ts'
import { windowStart } from './track-cells.ts'
import type { Slot, ViewKernel } from './view-kernel.ts'

/** Of the events that are not null in one set of nulls: the newest visible of each row of a group, −1 without one. */
interface Newest {
  readonly nulls: Uint8Array | null
  of: Int32Array<ArrayBuffer>
  group: number
}

/**
 * The newest visible event of each row by (τ, offset, index), found once for all features that skip the same events. It is the newest of every window that
 * holds any event: where its tile has left a window, so have all others. Events may become visible in any order and t may go down.
 */
export class NewestEvents {
  readonly #kernel: ViewKernel
  readonly #input: SweepInput
  readonly #place: Int32Array
  readonly #out: readonly ResultColumn[]
  readonly #known: Newest[] = []
  /** Those that were written in the group at hand. */
  readonly #referred = new Set<Int32Array>()
  #referredIn = -1
  #inWindow = new Int32Array(0)

  constructor(kernel: ViewKernel, input: SweepInput, place: Int32Array, out: readonly ResultColumn[]) {
    this.#kernel = kernel
    this.#input = input
    this.#place = place
    this.#out = out
  }

  run(slot: Slot, hopMs: number, group: number): void {
    const { origin, prepared } = this.#input
    const field = this.#kernel.columnOfInput(slot.input)
    const isTaken = origin !== undefined && field >= 0
    const rows = isTaken ? origin.rows : null
    const column = isTaken ? origin.columns[field] : this.#kernel.inputColumn(slot.input, prepared)
    const nulls = slot.seesNulls || column.nulls === null ? null : this.#kernel.inputColumn(slot.input, prepared).nulls
    const newest = this.#newest(nulls, group)
    for (const { tiles, readers } of slot.windows) {
      const read = tiles === Infinity ? newest : this.#inTiles(newest, { tiles, hopMs, group })
      for (const { feature } of readers) {
        const references = this.#input.references?.[feature] ?? null
        if (references !== null && rows !== null) this.#refer(references, { rows, read, group })
        else this.#write(this.#out[feature], column, { rows, read, group })
      }
    }
  }

  #refer(references: Int32Array, { rows, read, group }: { rows: Int32Array; read: Int32Array; group: number }): void {
    if (this.#referredIn !== group) this.#referred.clear()
    this.#referredIn = group
    if (this.#referred.has(references)) return
    this.#referred.add(references)
    const { rowStart } = this.#input
    const firstRow = rowStart[group]
    const none = withoutValue(STATUS.EMPTY_WINDOW)
    for (let i = 0; i < rowStart[group + 1] - firstRow; i++)
      references[this.#place[firstRow + i]] = read[i] < 0 ? none : rows[read[i]]
  }

  #newest(nulls: Uint8Array | null, group: number): Int32Array {
    let entry = this.#known.find((known) => known.nulls === nulls)
    if (entry === undefined) this.#known.push((entry = { nulls, of: new Int32Array(0), group: -1 }))
    if (entry.group === group) return entry.of
    entry.group = group
    const { eventStart, rowStart, visible, prepared } = this.#input
    const { tau, offset, index } = prepared.batch
    const { selected } = prepared
    const first = eventStart[group]
    const firstRow = rowStart[group]
    const of = (entry.of = room(entry.of, rowStart[group + 1] - firstRow))
    let best = -1
    let next = first
    for (let row = firstRow; row < rowStart[group + 1]; row++) {
      const end = first + visible[row]
      for (; next < end; next++) {
        if ((selected !== null && selected[next] === 0) || (nulls !== null && nulls[next] === 1)) continue
        if (best < 0 || tau[next] > tau[best]) best = next
        else if (tau[next] === tau[best] && (offset[next] - offset[best] || index[next] - index[best]) >= 0) best = next
      }
      of[row - firstRow] = best
    }
    return of
  }

  /** The same, −1 where the event's tile has left the window. */
  #inTiles(newest: Int32Array, { tiles, hopMs, group }: { tiles: number; hopMs: number; group: number }): Int32Array {
    const { rowStart, t, prepared } = this.#input
    const { tau } = prepared.batch
    const firstRow = rowStart[group]
    const rows = rowStart[group + 1] - firstRow
    const kept = (this.#inWindow = room(this.#inWindow, rows))
    for (let row = 0; row < rows; row++) {
      const event = newest[row]
      const oldest = windowStart(t[firstRow + row], hopMs, tiles)
      kept[row] = event >= 0 && tau[event] >= oldest ? event : -1
    }
    return kept
  }

  /** `rows`: the row of `column` that each event is, if not its own number. */
  #write(
    out: ResultColumn,
    column: Column,
    { rows, read, group }: { rows: Int32Array | null; read: Int32Array; group: number },
  ): void {
    const { rowStart } = this.#input
    const { nulls } = column
    const numbers = column.storage === 'number' ? column.values : null
    const firstRow = rowStart[group]
    for (let i = 0; i < rowStart[group + 1] - firstRow; i++) {
      const place = this.#place[firstRow + i]
      const event = read[i]
      if (event < 0) {
        setNull(out, place, STATUS.EMPTY_WINDOW)
        continue
      }
      const row = rows === null ? event : rows[event]
      if (nulls !== null && nulls[row] === 1) {
        setNull(out, place, STATUS.PRESENT)
        continue
      }
      // Present is what a fresh column says.
      if (numbers !== null) out.numbers[place] = numbers[row]
      else writeValue(out, place, column, row)
    }
  }
}

function writeValue(out: ResultColumn, place: number, column: Column, row: number): void {
  const value = columnValue(column, row)
  if (out.storage === 'numbers') out.numbers[place] = Number(value)
  else if (out.storage === 'bigints') out.bigints[place] = BigInt(value as bigint)
  else out.objects[place] = value instanceof Float32Array || value instanceof Uint8Array ? value.slice() : value
}

function room(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  return array.length >= length ? array : new Int32Array(Math.max(length, 2 * array.length))
}
