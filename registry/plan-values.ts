import type { Expectation } from '../features/authoring/feature-view.ts'
import type { ValueType } from '../features/plan/field-type.ts'
import type { PlanValue, RulePlan } from '../features/plan/view-plan.ts'
import { encodeBase64 } from '../features/values/base64.ts'
import { describeValue, isRecord, unknownName } from './describe-value.ts'
import { unstablePart } from '../features/exact/stable-pattern.ts'

/** Says why a value cannot stand where a feature of `type` has one (a default, an allowed value), or null. */
export function valueProblem(value: unknown, type: ValueType): string | null {
  const wrong = (expected: string): string => `must be ${expected}, found ${describeValue(value)}`
  switch (type.kind) {
    case 'float64':
      return Number.isFinite(value) ? null : wrong('a finite number')
    case 'float32':
      return typeof value === 'number' && Number.isFinite(Math.fround(value)) ? null : wrong('a finite float32')
    case 'int32':
      return Number.isInteger(value) && value === (Number(value) | 0) ? null : wrong('an integer of 32 bits')
    case 'count':
      return Number.isSafeInteger(value) && Number(value) >= 0 ? null : wrong('a count')
    case 'timestamp':
      return Number.isInteger(value) && Math.abs(Number(value)) <= 8.64e15 ? null : wrong('epoch milliseconds')
    case 'int64':
      return isInt64(value) ? null : wrong('a bigint of 64 bits')
    case 'bool':
      return typeof value === 'boolean' ? null : wrong('true or false')
    case 'string':
      return typeof value === 'string' && value.isWellFormed() ? null : wrong('a text')
    case 'enum':
      return typeof value === 'string' && type.values.includes(value) ? null : wrong(`one of ${type.values.join(', ')}`)
    case 'bytes':
      return value instanceof Uint8Array ? null : wrong('a Uint8Array')
    case 'vector':
      return isVector(value) &&
        value.length === type.length &&
        value.every((item) => Number.isFinite(Math.fround(item)))
        ? null
        : wrong(`an array of ${type.length} finite numbers`)
    case 'list':
      if (!Array.isArray(value)) return wrong('an array')
      return itemProblem(value, type.of)
    case 'map':
      if (!(value instanceof Map)) return wrong('a Map')
      return itemProblem([...value.keys()], type.key) ?? itemProblem([...value.values()], type.value)
  }
}

function itemProblem(items: readonly unknown[], type: ValueType): string | null {
  for (const item of items) {
    const problem = valueProblem(item, type)
    if (problem !== null) return `holds a value that ${problem}`
  }
  return null
}

function isInt64(value: unknown): boolean {
  return typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value)
}

function isVector(value: unknown): value is readonly number[] {
  return value instanceof Float32Array || (Array.isArray(value) && value.every((item) => typeof item === 'number'))
}

/** A value without problem (`valueProblem`) as plans hold it. */
export function planValueOf(value: unknown, type: ValueType): PlanValue {
  switch (type.kind) {
    case 'int64':
      return { int64: String(value as bigint | number) }
    case 'float32':
      return Math.fround(value as number) + 0
    case 'bytes':
      return { base64: encodeBase64(value as Uint8Array) }
    case 'vector':
      return Array.from(value as ArrayLike<number>, (item) => Math.fround(item) + 0)
    case 'list':
      return (value as unknown[]).map((item) => planValueOf(item, type.of))
    case 'map':
      return {
        pairs: [...(value as Map<unknown, unknown>)].map(([key, item]) => [
          planValueOf(key, type.key),
          planValueOf(item, type.value),
        ]),
      }
    default:
      return value as PlanValue
  }
}

const RULES = ['notNull', 'between', 'oneOf', 'matches', 'nullShare']
const ORDERED = new Set<ValueType['kind']>(['count', 'float64', 'float32', 'int32', 'int64', 'timestamp'])

/** Says why `expect` rules cannot hold for a feature of `type`, or null. */
export function expectationProblem(expectation: unknown, type: ValueType): string | null {
  if (!isRecord(expectation)) return `must be rules, as in { between: [0, 1] }, found ${describeValue(expectation)}`
  const { notNull, between, oneOf, matches, nullShare } = expectation
  return (
    unknownName(Object.keys(expectation), RULES, 'expect') ??
    (notNull === undefined || typeof notNull === 'boolean'
      ? null
      : `notNull must be true or false, found ${describeValue(notNull)}`) ??
    (between === undefined ? null : betweenProblem(between, type)) ??
    (oneOf === undefined ? null : oneOfProblem(oneOf, type)) ??
    (matches === undefined ? null : matchesProblem(matches, type)) ??
    (nullShare === undefined || (typeof nullShare === 'number' && nullShare >= 0 && nullShare <= 1)
      ? null
      : `nullShare must lie between 0 and 1, found ${describeValue(nullShare)}`)
  )
}

function betweenProblem(between: unknown, type: ValueType): string | null {
  if (!ORDERED.has(type.kind)) return `between needs a number, the feature is a ${type.kind}`
  const [least, greatest] = Array.isArray(between) && between.length === 2 ? (between as unknown[]) : []
  return isBound(least) && isBound(greatest) && least <= greatest
    ? null
    : `between must be [least, greatest], both finite, found ${Array.isArray(between) ? `[${between.map(describeValue).join(', ')}]` : describeValue(between)}`
}

function oneOfProblem(oneOf: unknown, type: ValueType): string | null {
  if (!Array.isArray(oneOf) || oneOf.length === 0)
    return `oneOf must be an array of the allowed values, found ${describeValue(oneOf)}`
  if (type.kind === 'list' || type.kind === 'map' || type.kind === 'vector' || type.kind === 'bytes')
    return `oneOf needs a scalar, the feature is a ${type.kind}`
  for (const value of oneOf as unknown[]) {
    const problem = valueProblem(value, type)
    if (problem !== null) return `a value of oneOf ${problem}`
  }
  return null
}

function matchesProblem(matches: unknown, type: ValueType): string | null {
  if (type.kind !== 'string' && type.kind !== 'enum') return `matches needs a string, the feature is a ${type.kind}`
  if (typeof matches !== 'string')
    return `matches must be a pattern in a text, as in '[A-Z]{2}', found ${describeValue(matches)}`
  try {
    void new RegExp(`^(?:${matches})$`, 'u')
    const part = unstablePart(matches, 'u')
    return part === null
      ? null
      : `matches has ${part}, which follows the engine's Unicode version: write the characters out, as in [a-zà-ÿ]`
  } catch (error) {
    return `matches is not a regular expression: ${error instanceof Error ? error.message : String(error)}`
  }
}

function isBound(value: unknown): value is number | bigint {
  return typeof value === 'bigint' || Number.isFinite(value)
}

/** Rules without problem (`expectationProblem`) as plans hold them. `nullShare` is monitored and stands apart. */
export function rulesOf({ notNull, between, oneOf, matches }: Expectation, type: ValueType): RulePlan[] {
  const rules: RulePlan[] = []
  if (notNull === true) rules.push({ kind: 'notNull' })
  if (between !== undefined) rules.push({ kind: 'between', min: boundOf(between[0]), max: boundOf(between[1]) })
  if (oneOf !== undefined) rules.push({ kind: 'oneOf', values: oneOf.map((value) => planValueOf(value, type)) })
  if (matches !== undefined) rules.push({ kind: 'matches', pattern: matches })
  return rules
}

/** Bounds compare by value with numbers and bigints alike, so they need not have the feature's type. */
function boundOf(bound: number | bigint): PlanValue {
  return typeof bound === 'bigint' ? { int64: String(bound) } : bound
}
