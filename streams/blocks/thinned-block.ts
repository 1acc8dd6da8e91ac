import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import type { FieldPlan } from '../../features/plan/field-type.ts'
import { compactColumn, gather, gatherColumn } from '../../features/values/gather.ts'
import type { Block, BlockSequences, Sequence } from './block.ts'
import { decodeBlock, decodeSequences, encodeBlock } from './block.ts'
import { blockWithoutEvents, decodeSkipped } from './skipped-block.ts'

/*
 * A block from which events were removed; those that stay keep their position, and the block the last sequence that it had.
 *
 *   u8 100 (format) · f64, f64 last sequence · varint n · varint[n] their indexes in the block as it was · a block (see `block.ts`) of the n events
 */
const FORMAT = 100

/** A block with the rows where `removed` is 0. */
export function thinBlock(block: Block, removed: Uint8Array): Uint8Array {
  const rows = Int32Array.from(removed.keys()).filter((row) => removed[row] === 0)
  const last = lastSequence(block)
  const inner = encodeBlock({
    origin: block.origin,
    previous: block.previous,
    length: rows.length,
    sequenceOffset: gather(block.sequenceOffset, rows, new Float64Array(rows.length)),
    sequenceIndex: gather(block.sequenceIndex, rows, new Int32Array(rows.length)),
    eventTime: gather(block.eventTime, rows, new Float64Array(rows.length)),
    arrival: gather(block.arrival, rows, new Float64Array(rows.length)),
    columns: block.columns.map((column) => compactColumn(gatherColumn(column, rows))),
  })
  const writer = new ByteWriter(inner.length + 32 + 5 * rows.length)
  writer.u8(FORMAT)
  writer.f64(last.offset)
  writer.f64(last.index)
  writer.varint(rows.length)
  for (const row of rows) writer.varint(indexOf(block, row))
  writer.raw(inner)
  return writer.finish()
}

/** A block that follows `previous` and ends with `last`, whatever events it holds: its rows keep their places. */
export function linkBlock(block: Block, previous: Sequence, last: Sequence): Uint8Array {
  const own = lastSequence(block)
  const linked = { ...block, previous, last }
  const isPlain = block.indexes === undefined && own.offset === last.offset && own.index === last.index
  return isPlain && block.length > 0 ? encodeBlock(linked) : thinBlock(linked, new Uint8Array(block.length))
}

/** The last sequence that a block had when it was appended. */
export function lastSequence({ length, sequenceOffset, sequenceIndex, last }: BlockSequences): Sequence {
  return last ?? { offset: sequenceOffset[length - 1], index: sequenceIndex[length - 1] }
}

/** The place of a row in the block as it was appended. */
export function indexOf({ indexes }: Block, row: number): number {
  return indexes === undefined ? row : indexes[row]
}

/** A block as it is in the log: whole, thinned, or skipped. Throws as `decodeBlock` does. */
export function decodeKeyedBlock(bytes: Uint8Array, fields: readonly FieldPlan[]): Block {
  const skipped = decodeSkipped(bytes)
  if (skipped !== null) return blockWithoutEvents(skipped.origin, fields)
  if (bytes[0] !== FORMAT) return decodeBlock(bytes, fields)
  const { last, indexes, inner } = openThinned(bytes)
  const block = decodeBlock(inner, fields)
  if (block.length !== indexes.length) throw new RangeError('a thinned block has another number of events than indexes')
  return { ...block, last, indexes }
}

/** The same without the events' values. */
export function decodeKeyedSequences(bytes: Uint8Array): BlockSequences {
  const skipped = decodeSkipped(bytes)
  if (skipped !== null) return blockWithoutEvents(skipped.origin, [])
  if (bytes[0] !== FORMAT) return decodeSequences(bytes)
  const { last, inner } = openThinned(bytes)
  return { ...decodeSequences(inner), last }
}

function openThinned(bytes: Uint8Array): { last: Sequence; indexes: Int32Array; inner: Uint8Array } {
  const reader = new ByteReader(bytes, 1)
  const last = { offset: reader.f64(), index: reader.f64() }
  const indexes = Int32Array.from({ length: reader.varint() }, () => reader.varint())
  return { last, indexes, inner: bytes.subarray(reader.offset) }
}
