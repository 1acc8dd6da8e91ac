import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { LogRecord } from '../../stores/log/log.ts'
import type { SchemaRegistry } from '../../stores/schemas/schema-registry.ts'
import type { DecodedEvents } from './decode-json.ts'
import { decodeJson } from './decode-json.ts'
import { RecordDecoder } from './decode-records.ts'
import type { DecodedRecords } from './event-columns.ts'
import type { EventLine } from './event-lines.ts'
import { createRecordReader } from './formats/create-record-reader.ts'
import { WholeRecordDecoder } from './formats/whole-record-decoder.ts'

/** Turns records of one source into columns. Kept from batch to batch: it knows texts and schemas that it met. */
export interface EventDecoder {
  /** Finds what `decode` needs to read these records: their schemas, where a registry has them. TM_SCHEMA_REGISTRY_UNAVAILABLE. */
  prepare(records: readonly Uint8Array[]): Promise<void>
  /** The events of records that were prepared for; each bad one is refused on its own, with a code. */
  decode(records: readonly Uint8Array[]): DecodedRecords
  /** The event on a line of a record, as it was sent. */
  payload(record: Uint8Array, line: number): EventLine
}

/** `schemas`: the deployment's registry; null: none is set. */
export function createEventDecoder(source: SourcePlan, schemas: SchemaRegistry | null): EventDecoder {
  if (source.format.kind === 'json') return new RecordDecoder(source)
  return new WholeRecordDecoder(source, (writers) => createRecordReader(source, writers, schemas))
}

/** Whether an event is a line of text: else it is a record of its own, of any bytes. */
export function isLines({ format }: SourcePlan): boolean {
  return format.kind === 'json'
}

/** Events that came apart from their records: dead letters, lines of a file. TM_SCHEMA_REGISTRY_UNAVAILABLE. */
export async function decodePayloads(
  source: SourcePlan,
  payloads: readonly EventLine[],
  schemas: SchemaRegistry | null,
): Promise<DecodedEvents> {
  if (isLines(source)) return decodeJson(source, payloads)
  const records = payloads.map(recordOf)
  const decoder = createEventDecoder(source, schemas)
  await decoder.prepare(records)
  const { recordOf: rows, columns, eventTime, refused } = decoder.decode(records)
  return {
    rows: Array.from(rows),
    columns,
    eventTime,
    refused: refused.map(({ record, code, reason }) => ({ row: record, code, reason })),
  }
}

/**
 * A record as its source's decoder takes it, and as a letter keeps it: the schema that a header names stands before the value, as the same serializers write it there. Where records have no frame,
 * a header is nobody's business.
 */
export function recordBytes({ format }: SourcePlan, { value, schemaId }: LogRecord): Uint8Array {
  const isFramed = format.kind === 'jsonSchema' || ('framing' in format && format.framing === 'registry')
  return schemaId === undefined || !isFramed || value.length === 0 ? value : Buffer.concat([schemaId, value])
}

/** A payload as the record that it was. */
export function recordOf(payload: EventLine): Uint8Array {
  return typeof payload === 'string' ? Buffer.from(payload) : payload
}
