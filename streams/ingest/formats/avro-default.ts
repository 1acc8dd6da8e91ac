import type { FieldType } from '../../../features/plan/field-type.ts'
import type { AvroField, AvroType } from '../../../stores/schemas/avro-schema.ts'
import { timeDivisor, timeOf } from './avro-value.ts'

/** What a column is where the writer's schema has no field for it: the default of the reader's, as `decodeField` takes it; undefined: absent. */
export function avroDefault(field: AvroField | null, column: FieldType): unknown {
  if (field === null || field.default === undefined) return undefined
  // A union's default is of its first branch.
  const type = field.type.kind === 'union' ? field.type.branches[0] : field.type
  const value = field.default
  if (typeof value === 'string' && (type.kind === 'bytes' || type.kind === 'fixed')) return Buffer.from(value, 'latin1')
  return typeof value === 'number' && column.kind === 'timestamp' ? asTime(type, value) : value
}

function asTime(type: AvroType, value: number): unknown {
  const units = timeDivisor(type)
  return units === null ? undefined : timeOf(value, units)
}
