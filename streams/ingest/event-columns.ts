import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { finishColumns } from './decode-json.ts'
import type { DecodedEvents, RefusedEvent } from './decode-json.ts'
import type { EventLine } from './event-lines.ts'
import { createFieldWriter } from './field-writers.ts'
import type { FieldWriter } from './field-writers.ts'

const ROWS_RESERVED = 1024

/** Events in records of a topic, as columns. */
export interface DecodedRecords extends Omit<DecodedEvents, 'refused' | 'rows'> {
  /** By accepted row: which record it is in, and the number of its line there. */
  readonly recordOf: Int32Array
  readonly lineOf: Int32Array
  readonly refused: readonly RefusedLine[]
}

export interface RefusedLine extends Omit<RefusedEvent, 'row'> {
  readonly record: number
  readonly line: number
  readonly payload: EventLine
}

/** Columns of the events of some records, row by row: a decoder writes row `rows`, then accepts it or not. */
export class EventColumns {
  readonly writers: readonly FieldWriter[]
  rows = 0
  readonly #source: SourcePlan
  #reserved = 0
  #recordOf = new Int32Array(0)
  #lineOf = new Int32Array(0)
  #refused: RefusedLine[] = []

  constructor(source: SourcePlan) {
    this.#source = source
    this.writers = source.fields.map((field) => createFieldWriter(field, { bytes: true }))
  }

  /** Makes room for one more row. */
  reserve(): void {
    if (this.rows < this.#reserved) return
    this.#reserved = Math.max(ROWS_RESERVED, 2 * this.#reserved)
    for (const writer of this.writers) writer.reserve(this.#reserved)
    this.#recordOf = widened(this.#recordOf, this.#reserved)
    this.#lineOf = widened(this.#lineOf, this.#reserved)
  }

  accept(record: number, line: number): void {
    this.#recordOf[this.rows] = record
    this.#lineOf[this.rows] = line
    this.rows++
  }

  refuse(refusal: RefusedLine): void {
    this.#refused.push(refusal)
  }

  /** What was accepted and refused; all then begins anew. */
  finish(): DecodedRecords {
    const { rows } = this
    const refused = this.#refused
    this.rows = 0
    this.#refused = []
    const columns = finishColumns(this.#source, this.writers, rows)
    return { ...columns, recordOf: this.#recordOf.slice(0, rows), lineOf: this.#lineOf.slice(0, rows), refused }
  }
}

function widened(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(length)
  wider.set(array)
  return wider
}
