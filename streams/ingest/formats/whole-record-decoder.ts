import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../../../features/plan/source-plan.ts'
import { EventColumns } from '../event-columns.ts'
import type { DecodedRecords } from '../event-columns.ts'
import type { EventDecoder } from '../event-decoder.ts'
import type { EventLine } from '../event-lines.ts'
import type { FieldWriter } from '../field-writers.ts'

/** Reads one event a record, of some format, into columns. */
export interface RecordReader {
  prepare(records: readonly Uint8Array[]): Promise<void>
  /** Sets every column's row, or throws a TidemarkError; then the row may be set again. False: the record is no event. */
  read(record: Buffer, row: number): boolean
}

/** Records that are one event each. Those without bytes (a log's tombstones) are none. */
export class WholeRecordDecoder implements EventDecoder {
  readonly #columns: EventColumns
  readonly #reader: RecordReader

  constructor(source: SourcePlan, createReader: (writers: readonly FieldWriter[]) => RecordReader) {
    this.#columns = new EventColumns(source)
    this.#reader = createReader(this.#columns.writers)
  }

  prepare(records: readonly Uint8Array[]): Promise<void> {
    return this.#reader.prepare(records)
  }

  decode(records: readonly Uint8Array[]): DecodedRecords {
    const columns = this.#columns
    for (let record = 0; record < records.length; record++) {
      const { buffer, byteOffset, length } = records[record]
      if (length === 0) continue
      columns.reserve()
      try {
        if (this.#reader.read(Buffer.from(buffer, byteOffset, length), columns.rows)) columns.accept(record, 0)
      } catch (error) {
        if (!isTidemarkError(error)) throw error
        columns.refuse({ record, line: 0, code: error.code, reason: error.message, payload: records[record] })
      }
    }
    return columns.finish()
  }

  payload(record: Uint8Array): EventLine {
    return record
  }
}
