import type { FieldPlan, Value } from '../../features/plan/field-type.ts'
import type { FormatPlan } from '../../features/plan/format-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { columnValue } from '../../features/values/column.ts'
import type { RegisteredSchema, SchemaKey, SchemaRegistry } from '../../stores/schemas/schema-registry.ts'
import { createEventDecoder } from '../../streams/ingest/event-decoder.ts'
import { testView } from './view-plans.ts'

/** By record: its event's values in the order of the fields, or the code and reason that it was refused with; null: it is no event. */
export type DecodedEvent = readonly Value[] | { readonly code: string; readonly reason: string } | null

export function formatSource(format: FormatPlan, fields: readonly FieldPlan[], eventTime: string = 'at'): SourcePlan {
  return { ...testView([]).plan.source, format, fields, eventTime }
}

/** What ingest makes of records, in one batch. */
export async function decodeSource(
  source: SourcePlan,
  records: readonly Uint8Array[],
  schemas: SchemaRegistry | null = null,
): Promise<DecodedEvent[]> {
  const decoder = createEventDecoder(source, schemas)
  await decoder.prepare(records)
  const { recordOf, columns, refused } = decoder.decode(records)
  const events: DecodedEvent[] = records.map(() => null)
  recordOf.forEach((record, row) => (events[record] = columns.map((column) => columnValue(column, row))))
  for (const { record, code, reason } of refused) events[record] = { code, reason }
  return events
}

/** Schemas by key, in memory; counts how often it is asked. */
export class HeldSchemas implements SchemaRegistry {
  readonly held = new Map<SchemaKey, RegisteredSchema>()
  asked = 0

  add(key: SchemaKey, text: string, type: RegisteredSchema['type'] = 'AVRO'): this {
    this.held.set(key, { type, text, references: [] })
    return this
  }

  schema(key: SchemaKey): Promise<RegisteredSchema | null> {
    this.asked++
    return Promise.resolve(this.held.get(key) ?? null)
  }
}

/** A record as a registry's serializer frames it. */
export function framed(id: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(id, 1)
  return Buffer.concat([head, bytes])
}
