import type { FieldPlan } from '../../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../../features/values/column.ts'
import type { Column } from '../../features/values/column.ts'
import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import type { Block } from './block.ts'
import { NO_SEQUENCE } from './block.ts'

/*
 * What stands in the log where a repair took a block out: whoever reads the log skips it, alike and for good.
 *
 *   u8 101 (format) · string code of the cause · varint events that were in the block (0: not known) · string its origin ('': not known)
 */
const FORMAT = 101

export interface SkippedBlock {
  readonly code: string
  readonly events: number
  readonly origin: string
}

export function encodeSkipped({ code, events, origin }: SkippedBlock): Uint8Array {
  const writer = new ByteWriter()
  writer.u8(FORMAT)
  writer.string(code)
  writer.varint(events)
  writer.string(origin)
  return writer.finish()
}

/** null: another kind of block. */
export function decodeSkipped(bytes: Uint8Array): SkippedBlock | null {
  if (bytes[0] !== FORMAT) return null
  const reader = new ByteReader(bytes, 1)
  const skipped = { code: reader.string(), events: reader.varint(), origin: reader.string() }
  if (reader.remaining !== 0) throw new RangeError(`${reader.remaining} bytes after the end of a skipped block`)
  return skipped
}

/** A block without events, after nothing and before nothing: what readers see of a skipped one. */
export function blockWithoutEvents(origin: string, fields: readonly FieldPlan[]): Block {
  const none = new Float64Array(0)
  return {
    origin,
    previous: NO_SEQUENCE,
    length: 0,
    sequenceOffset: none,
    sequenceIndex: new Int32Array(0),
    eventTime: none,
    arrival: none,
    columns: fields.map(({ type }) => emptyColumn(type)),
    last: NO_SEQUENCE,
  }
}

function emptyColumn(type: FieldPlan['type']): Column {
  if (type.kind === 'vector') return { storage: 'vector', type, nulls: null, values: new Float32Array(0) }
  switch (COLUMN_STORAGE[type.kind]) {
    case 'bool':
      return { storage: 'bool', type, nulls: null, values: new Uint8Array(0) }
    case 'int64':
      return { storage: 'int64', type, nulls: null, values: new BigInt64Array(0) }
    case 'string':
      return { storage: 'string', type, nulls: null, codes: new Int32Array(0), dictionary: [] }
    case 'bytes':
      return { storage: 'bytes', type, nulls: null, values: [] }
    default:
      return { storage: 'number', type, nulls: null, values: new Float64Array(0) }
  }
}
