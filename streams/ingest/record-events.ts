import { gather } from '../../features/values/gather.ts'
import type { LogRecord } from '../../stores/log/log.ts'
import { fittingRows } from './decode-events.ts'
import type { RowRules } from './decode-events.ts'
import type { RefusedLine } from './event-columns.ts'
import { recordBytes } from './event-decoder.ts'
import type { EventDecoder } from './event-decoder.ts'
import type { OriginEvents } from './keyed-append.ts'

/** Records of a source's topic, and how a source version takes them in. */
export interface SourceRecords extends RowRules {
  /** Prepared for these records. */
  readonly decoder: EventDecoder
  readonly origin: string
  readonly records: readonly LogRecord[]
  /** See `IngestCheckpoint`. */
  readonly historyEnd: number
}

/** What ingest makes of records, and `repair` makes of them again: the same events with the same sequences and arrivals. */
export function recordEvents({ decoder, origin, records, historyEnd, ...rules }: SourceRecords): {
  readonly events: OriginEvents
  readonly refused: readonly RefusedLine[]
} {
  const sent = records.map((record) => recordBytes(rules.source, record))
  const decoded = decoder.decode(sent)
  const { recordOf, lineOf } = decoded
  const all = { ...decoded, rows: Int32Array.from(recordOf.keys()) }
  const { rows, columns, eventTime, unfit } = fittingRows(rules, all)
  const refused = [...decoded.refused]
  for (const { row, ...refusal } of unfit) {
    const payload = decoder.payload(sent[recordOf[row]], lineOf[row])
    refused.push({ ...refusal, record: recordOf[row], line: lineOf[row], payload })
  }
  const sequenceOffset = new Float64Array(rows.length)
  const arrival = new Float64Array(rows.length).fill(NaN)
  for (let i = 0; i < rows.length; i++) {
    const { offset, appendTime } = records[recordOf[rows[i]]]
    sequenceOffset[i] = offset
    if (offset < historyEnd) arrival[i] = appendTime
  }
  const sequenceIndex = gather(lineOf, rows, new Int32Array(rows.length))
  const events = { origin, length: rows.length, sequenceOffset, sequenceIndex, eventTime, arrival, columns }
  return { events, refused: refused.sort((a, b) => a.record - b.record || a.line - b.line) }
}
