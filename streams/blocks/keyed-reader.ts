import type { FieldPlan } from '../../features/plan/field-type.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import type { LogRecord } from '../../stores/log/log.ts'
import type { Block } from './block.ts'
import { failStream } from '../errors.ts'
import { gatherColumn } from '../../features/values/gather.ts'
import type { OriginFilter } from './origin-filter.ts'
import type { PlacedBlock } from './recent-blocks.ts'
import { decodeKeyedBlock, indexOf } from './thinned-block.ts'

/** One record of a keyed log as events, without those seen before. null: nothing new in it. TM_BLOCK_UNREADABLE, TM_STREAM_GAP. */
export function readKeyedRecord(
  record: LogRecord,
  fields: readonly FieldPlan[],
  filter: OriginFilter,
  where: string,
): EventBatch | null {
  return acceptBlock({ ...record, block: readBlock(record, fields, where) }, filter, where)
}

/** The same of a block that is decoded. */
export function acceptBlock(
  { block, offset, appendTime }: PlacedBlock,
  filter: OriginFilter,
  where: string,
): EventBatch | null {
  const first = filter.accept(block, where)
  if (first === block.length) return null
  const length = block.length - first
  const index = new Int32Array(length)
  for (let i = 0; i < length; i++) index[i] = first + i
  const eventTime = first === 0 ? block.eventTime : block.eventTime.subarray(first)
  const arrival = new Float64Array(length)
  const tau = new Float64Array(length)
  for (let i = 0; i < length; i++) {
    const known = block.arrival[first + i]
    arrival[i] = known === known ? known : appendTime
    tau[i] = Math.min(eventTime[i], arrival[i])
  }
  return {
    length,
    columns: first === 0 ? block.columns : block.columns.map((column) => gatherColumn(column, index)),
    eventTime,
    arrival,
    tau,
    offset: new Float64Array(length).fill(offset),
    index: block.indexes === undefined ? index : index.map((row) => indexOf(block, row)),
  }
}

/** A record's block, whichever reader needs it. TM_BLOCK_UNREADABLE. */
export function readBlock(record: LogRecord, fields: readonly FieldPlan[], where: string): Block {
  try {
    return decodeKeyedBlock(record.value, fields)
  } catch (error) {
    throw failStream(
      'TM_BLOCK_UNREADABLE',
      `${where}: the block at offset ${record.offset} cannot be decoded (${error instanceof Error ? error.message : String(error)}): it is damaged, or a newer version of Tidemark wrote it; upgrade, or see \`tidemark repair\``,
      { cause: error },
    )
  }
}
