import type { StatusName } from '../aggregation/result-column.ts'
import type { Value } from '../plan/field-type.ts'
import type { CompiledService } from './compiled-view.ts'
import type { FunctionFailures } from './function-failures.ts'
import { running } from './running-function.ts'
import { coerceResult } from './function-results.ts'

/**
 * Appends a service's derived values and statuses to a row of `values` (features in order, then request fields). A function sees features by
 * full name, request fields and earlier derived fields by name. A throw, a wrong type or a non-finite result is null, INVALID, and counted in `failures`.
 */
export function deriveRow(
  service: CompiledService,
  values: Value[],
  statuses: StatusName[],
  failures?: FunctionFailures,
): void {
  const { plan, functions } = service
  if (plan.derived.length === 0) return
  const vector: Record<string, Value> = {}
  let at = 0
  for (const feature of plan.features) vector[feature.fullName] = values[at++]
  for (const field of plan.request) vector[field.name] = values[at++]
  for (const derived of plan.derived) {
    const value = running(
      plan,
      derived.name,
      () => `the derived field ${derived.name} of service ${plan.name}`,
      () => callDerived(functions[derived.fn], derived, vector, failures),
    )
    vector[derived.name] = value ?? null
    values.push(value ?? null)
    statuses.push(value === undefined ? 'INVALID' : 'PRESENT')
  }
}

function callDerived(
  fn: CompiledService['functions'][number],
  { name, type }: CompiledService['plan']['derived'][number],
  vector: object,
  failures: FunctionFailures | undefined,
): Value | undefined {
  try {
    const result = fn(vector)
    const value = coerceResult(type, result)
    if (value === undefined) failures?.returned(name, result)
    return value
  } catch (error) {
    failures?.threw(name, error)
    return undefined
  }
}
