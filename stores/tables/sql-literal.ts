import type { FieldPlan, Value } from '../../features/plan/field-type.ts'
import { sqlText } from './tables.ts'

/** An entity key's component as the archive's column has it. */
export function sqlLiteral(field: FieldPlan, value: Value): string {
  if (typeof value === 'string') return sqlText(value)
  if (value instanceof Uint8Array)
    return `'${Array.from(value, (byte) => String.raw`\x${byte.toString(16).padStart(2, '0')}`).join('')}'::BLOB`
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value)
  return field.type.kind === 'float64' || field.type.kind === 'float32'
    ? `${Number(value)}::DOUBLE`
    : String(Number(value))
}
