import { STATUS, setNull } from '../aggregation/result-column.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { resultValue } from '../aggregation/result-column.ts'
import type { Value, ValueType } from '../plan/field-type.ts'
import type { FeaturePlan, PlanValue, RulePlan } from '../plan/view-plan.ts'
import { decodeBase64 } from '../values/base64.ts'
import type { ViewKernel } from './view-kernel.ts'

/** True if the value keeps every rule of its feature. */
export type RowRule = (value: Value) => boolean

export function compileRules(feature: FeaturePlan): RowRule | null {
  if (feature.rules.length === 0) return null
  const rules = feature.rules.map((rule) => compileRule(rule, feature.type))
  return (value) => rules.every((rule) => rule(value))
}

function compileRule(rule: RulePlan, type: ValueType): RowRule {
  switch (rule.kind) {
    case 'notNull':
      return (value) => value !== null
    case 'between': {
      const min = planValue(rule.min, type)
      const max = planValue(rule.max, type)
      return (value) => value === null || (compare(value, min) >= 0 && compare(value, max) <= 0)
    }
    case 'oneOf': {
      const values = new Set(rule.values.map((value) => planValue(value, type)))
      return (value) => value === null || values.has(value)
    }
    case 'matches': {
      const pattern = new RegExp(`^(?:${rule.pattern})$`, 'u')
      return (value) => value === null || (typeof value === 'string' && pattern.test(value))
    }
  }
}

/** Numbers and bigints by value (also against each other), strings by code unit. */
function compare(a: Value, b: Value): number {
  const left = a as number
  const right = b as number
  return left < right ? -1 : left > right ? 1 : 0
}

/** A plan's value as the JavaScript value of `type`. */
export function planValue(value: PlanValue, type: ValueType): Value {
  if (value === null) return null
  if (Array.isArray(value)) {
    if (type.kind === 'vector') return Float32Array.from(value as number[])
    return value.map((item) => planValue(item as PlanValue, type.kind === 'list' ? type.of : type))
  }
  if (typeof value === 'object' && 'int64' in value) return BigInt(value.int64)
  if (typeof value === 'object' && 'base64' in value) return decodeBase64(value.base64)
  if (typeof value === 'object' && 'pairs' in value) {
    if (type.kind !== 'map') throw new TypeError(`a plan holds a map for a ${type.kind}`)
    return new Map(value.pairs.map(([key, item]) => [planValue(key, type.key), planValue(item, type.value)]))
  }
  return value as Value
}

/**
 * Decides the final statuses of one row after its windows were read: MISSING, EXPIRED, (EMPTY_WINDOW as read), `expect` rules, defaults.
 * `newestTau` is the newest τ of the entity's events that passed `where`, −Infinity without one.
 */
export function settleRow(
  kernel: ViewKernel,
  newestTau: number,
  t: number,
  out: readonly ResultColumn[],
  row: number,
): void {
  const { features, ttlMs } = kernel.view.plan
  const missing = isMissing(kernel, newestTau, t)
  const expired = !missing && ttlMs !== null && newestTau < t - ttlMs
  for (let f = 0; f < features.length; f++) {
    const column = out[f]
    if (missing) setMissing(column, row)
    else if (expired) setNull(column, row, STATUS.EXPIRED)
    else if (column.statuses[row] === STATUS.PRESENT) checkRules(kernel.rules[f], column, row)
    if (column.nulls[row] === 1 && features[f].default !== null) setDefault(column, row, features[f])
  }
}

/** No event that passed `where`, or none for longer than any window or ttl reaches. */
export function isMissing(kernel: ViewKernel, newestTau: number, t: number): boolean {
  return newestTau === -Infinity || newestTau < t - kernel.retentionMs
}

function setMissing(column: ResultColumn, row: number): void {
  column.statuses[row] = STATUS.MISSING
  if (column.type.kind === 'count') {
    column.numbers[row] = 0
    column.nulls[row] = 0
  } else column.nulls[row] = 1
}

function checkRules(rule: RowRule | null, column: ResultColumn, row: number): void {
  if (rule !== null && !rule(resultValue(column, row))) setNull(column, row, STATUS.INVALID)
}

function setDefault(column: ResultColumn, row: number, feature: FeaturePlan): void {
  const value = planValue(feature.default, feature.type)
  column.nulls[row] = 0
  if (column.storage === 'numbers') column.numbers[row] = Number(value)
  else if (column.storage === 'bigints') column.bigints[row] = BigInt(value as bigint)
  else column.objects[row] = value
  if (column.statuses[row] !== STATUS.EXPIRED) column.statuses[row] = STATUS.DEFAULTED
}
