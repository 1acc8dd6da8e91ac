import type { FieldPlan } from '../features/plan/field-type.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import type { LogRecord } from '../stores/log/log.ts'
import { decodeBlock } from './block.ts'
import type { Block } from './block.ts'
import { failStream } from './errors.ts'
import { gather, gatherColumn } from '../features/values/gather.ts'
import type { OriginFilter } from './origin-filter.ts'

/** One record of a keyed log as events, without those seen before. null: nothing new in it. TM_BLOCK_UNREADABLE, TM_STREAM_GAP. */
export function readKeyedRecord(
  record: LogRecord,
  fields: readonly FieldPlan[],
  filter: OriginFilter,
  where: string,
): EventBatch | null {
  const block = readBlock(record, fields, where)
  const first = filter.accept(block, where)
  if (first === block.length) return null
  const rows = Int32Array.from({ length: block.length - first }, (_, i) => first + i)
  const eventTime = gather(block.eventTime, rows, new Float64Array(rows.length))
  const arrival = gather(block.arrival, rows, new Float64Array(rows.length)).map((time) =>
    Number.isNaN(time) ? record.appendTime : time,
  )
  return {
    length: rows.length,
    columns: first === 0 ? block.columns : block.columns.map((column) => gatherColumn(column, rows)),
    eventTime,
    arrival,
    tau: eventTime.map((time, i) => Math.min(time, arrival[i])),
    offset: new Float64Array(rows.length).fill(record.offset),
    index: rows,
  }
}

function readBlock(record: LogRecord, fields: readonly FieldPlan[], where: string): Block {
  try {
    return decodeBlock(record.value, fields)
  } catch (error) {
    throw failStream(
      'TM_BLOCK_UNREADABLE',
      `${where}: the block at offset ${record.offset} cannot be decoded (${error instanceof Error ? error.message : String(error)}): it is damaged, or a newer version of Tidemark wrote it; upgrade, or restore the log`,
      { cause: error },
    )
  }
}
