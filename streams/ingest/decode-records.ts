import { isUtf8 } from 'node:buffer'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { finishColumns, LineDecoder } from './decode-json.ts'
import type { DecodedEvents, RefusedEvent } from './decode-json.ts'
import { splitLines } from './event-lines.ts'
import type { EventLine } from './event-lines.ts'
import { EventScanner } from './event-scanner.ts'
import { createFieldWriter } from './field-writers.ts'
import type { FieldWriter } from './field-writers.ts'

const NEWLINE = 0x0a
const ROWS_RESERVED = 1024

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

/** Decodes the events in records of one source, as `decodeJson` would line by line: plain events straight from the bytes, any other by JSON.parse. Blank lines are no events. */
export class RecordDecoder {
  readonly #source: SourcePlan
  readonly #writers: readonly FieldWriter[]
  readonly #scanner: EventScanner
  readonly #lines: LineDecoder
  #reserved = 0
  #rows = 0
  #recordOf = new Int32Array(0)
  #lineOf = new Int32Array(0)
  #refused: RefusedLine[] = []

  constructor(source: SourcePlan) {
    this.#source = source
    this.#writers = source.fields.map((field) => createFieldWriter(field, { bytes: true }))
    this.#scanner = new EventScanner(source, this.#writers)
    this.#lines = new LineDecoder(source, this.#writers)
  }

  decode(records: readonly Uint8Array[]): DecodedRecords {
    records.forEach((record, number) => {
      if (isUtf8(record)) this.#scanRecord(Buffer.from(record.buffer, record.byteOffset, record.length), number)
      else splitLines(record).forEach((line, at) => this.#decodeLine(line, number, at))
    })
    const rows = this.#rows
    const refused = this.#refused
    this.#rows = 0
    this.#refused = []
    const columns = finishColumns(this.#source, this.#writers, rows)
    return { ...columns, recordOf: this.#recordOf.slice(0, rows), lineOf: this.#lineOf.slice(0, rows), refused }
  }

  #scanRecord(bytes: Buffer, number: number): void {
    this.#scanner.open(bytes)
    let from = 0
    for (let line = 0; from <= bytes.length; line++) {
      this.#reserve()
      let end = this.#scan(from)
      if (end >= 0) this.#accept(number, line)
      else {
        const newline = bytes.indexOf(NEWLINE, from)
        end = newline < 0 ? bytes.length : newline
        this.#decodeLine(bytes.toString('utf8', from, end), number, line)
      }
      from = end + 1
    }
  }

  /** A value that is none of its field: the line is decoded whole again, so that the first field with a fault gives the code. */
  #scan(from: number): number {
    try {
      return this.#scanner.scan(from, this.#rows)
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      return -1
    }
  }

  #decodeLine(payload: EventLine, record: number, line: number): void {
    if (isBlank(payload)) return
    this.#reserve()
    const refusal = this.#lines.decode(payload, this.#rows)
    if (refusal === null) this.#accept(record, line)
    else this.#refused.push({ ...refusal, record, line, payload })
  }

  #accept(record: number, line: number): void {
    this.#recordOf[this.#rows] = record
    this.#lineOf[this.#rows] = line
    this.#rows++
  }

  #reserve(): void {
    if (this.#rows < this.#reserved) return
    this.#reserved = Math.max(ROWS_RESERVED, 2 * this.#reserved)
    for (const writer of this.#writers) writer.reserve(this.#reserved)
    this.#recordOf = widened(this.#recordOf, this.#reserved)
    this.#lineOf = widened(this.#lineOf, this.#reserved)
  }
}

function isBlank(line: EventLine): boolean {
  if (typeof line !== 'string') return false
  return line.length === 0 || (line.charCodeAt(0) <= 32 && line.trim() === '')
}

function widened(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(length)
  wider.set(array)
  return wider
}
