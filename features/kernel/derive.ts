import type { StatusName } from '../aggregation/result-column.ts'
import type { Value } from '../plan/field-type.ts'
import type { CompiledService } from './compiled-view.ts'
import { coerceResult } from './function-results.ts'

/**
 * Appends a service's derived values and statuses to a row of `values` (features in order, then request fields). A function sees features by
 * full name, request fields and earlier derived fields by name. A throw, a wrong type or a non-finite result is null, INVALID.
 */
export function deriveRow(service: CompiledService, values: Value[], statuses: StatusName[]): void {
  const { plan, functions } = service
  if (plan.derived.length === 0) return
  const vector: Record<string, Value> = {}
  let at = 0
  for (const feature of plan.features) vector[feature.fullName] = values[at++]
  for (const field of plan.request) vector[field.name] = values[at++]
  for (const derived of plan.derived) {
    const value = callDerived(functions[derived.fn], derived.type, vector)
    vector[derived.name] = value ?? null
    values.push(value ?? null)
    statuses.push(value === undefined ? 'INVALID' : 'PRESENT')
  }
}

function callDerived(
  fn: CompiledService['functions'][number],
  type: CompiledService['plan']['derived'][number]['type'],
  vector: object,
): Value | undefined {
  try {
    return coerceResult(type, fn(vector))
  } catch {
    return undefined
  }
}
