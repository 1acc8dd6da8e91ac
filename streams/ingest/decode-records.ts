import { isUtf8 } from 'node:buffer'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { LineDecoder } from './decode-json.ts'
import { EventColumns } from './event-columns.ts'
import type { DecodedRecords } from './event-columns.ts'
import type { EventDecoder } from './event-decoder.ts'
import { splitLines } from './event-lines.ts'
import type { EventLine } from './event-lines.ts'
import { EventScanner } from './event-scanner.ts'

const NEWLINE = 0x0a

/** Decodes the events in records of a source of JSON lines, as `decodeJson` would line by line: plain events straight from the bytes, any other by JSON.parse. Blank lines are no events. */
export class RecordDecoder implements EventDecoder {
  readonly #columns: EventColumns
  readonly #scanner: EventScanner
  readonly #lines: LineDecoder

  constructor(source: SourcePlan) {
    this.#columns = new EventColumns(source)
    this.#scanner = new EventScanner(source, this.#columns.writers)
    this.#lines = new LineDecoder(source, this.#columns.writers)
  }

  async prepare(): Promise<void> {}

  decode(records: readonly Uint8Array[]): DecodedRecords {
    records.forEach((record, number) => {
      if (isUtf8(record)) this.#scanRecord(Buffer.from(record.buffer, record.byteOffset, record.length), number)
      else splitLines(record).forEach((line, at) => this.#decodeLine(line, number, at))
    })
    return this.#columns.finish()
  }

  payload(record: Uint8Array, line: number): EventLine {
    return splitLines(record)[line]
  }

  #scanRecord(bytes: Buffer, number: number): void {
    this.#scanner.open(bytes)
    let from = 0
    for (let line = 0; from <= bytes.length; line++) {
      this.#columns.reserve()
      let end = this.#scan(from)
      if (end >= 0) this.#columns.accept(number, line)
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
      return this.#scanner.scan(from, this.#columns.rows)
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      return -1
    }
  }

  #decodeLine(payload: EventLine, record: number, line: number): void {
    if (isBlank(payload)) return
    this.#columns.reserve()
    const refusal = this.#lines.decode(payload, this.#columns.rows)
    if (refusal === null) this.#columns.accept(record, line)
    else this.#columns.refuse({ ...refusal, record, line, payload })
  }
}

function isBlank(line: EventLine): boolean {
  if (typeof line !== 'string') return false
  return line.length === 0 || (line.charCodeAt(0) <= 32 && line.trim() === '')
}
