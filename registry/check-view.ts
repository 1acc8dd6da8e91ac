import { DEFINITION } from '../features/authoring/definitions.ts'
import type { Expectation, ViewDefinition } from '../features/authoring/definitions.ts'
import type { ValueType } from '../features/plan/field-type.ts'
import type { Refuse } from './compile-definitions.ts'
import { parseDuration } from './durations.ts'

/** Whether a view is made of what it must be made of: definition files run without a type checker. */
export function checkViewShape(definition: ViewDefinition, refuse: Refuse): void {
  const { name } = definition
  const options = definition.options as Partial<ViewDefinition['options']> | undefined
  if (kindOf(options?.entity) !== 'entity')
    refuse(name, `view ${name}: entity must be what entity(…) gives, found ${describe(options?.entity)}`)
  if (kindOf(options?.from) !== 'source')
    refuse(name, `view ${name}: from must be what stream(…) or table(…) gives, found ${describe(options?.from)}`)
  if (typeof options?.features !== 'object' || options.features === null)
    refuse(name, `view ${name}: features must be an object, found ${describe(options?.features)}`)
  for (const [feature, node] of Object.entries(options?.features ?? {})) {
    if (typeof (node as { spec?: unknown } | null)?.spec !== 'object')
      refuse(
        feature,
        `feature ${feature} of view ${name} must be an aggregation with a window, as in count().over('1h'), found ${describe(node)}`,
      )
  }
  if (options?.where !== undefined && typeof options.where !== 'function')
    refuse('where', `view ${name}: where must be a function of the event, found ${describe(options.where)}`)
  const { freshness } = options ?? {}
  if (freshness !== undefined && (typeof freshness !== 'string' || parseDuration(freshness) === null))
    refuse('freshness', `view ${name}: freshness ${describe(freshness)} is not a duration like '5m'`)
}

function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && DEFINITION in value ? value[DEFINITION] : undefined
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null)
    return 'over' in value ? 'an aggregation without .over(…)' : Array.isArray(value) ? 'an array' : 'another object'
  return typeof value === 'function' ? 'a function' : String(value)
}

/** Says why a value cannot stand where a feature of `type` has one (a default, an allowed value), or null. Null stands for no value. */
export function valueProblem(value: unknown, type: ValueType): string | null {
  if (value === null || value === undefined) return null
  const wrong = (expected: string): string => `must be ${expected}, found ${describe(value)}`
  switch (type.kind) {
    case 'float64':
    case 'float32':
      return Number.isFinite(value) ? null : wrong('a finite number')
    case 'int32':
      return Number.isInteger(value) && value === (Number(value) | 0) ? null : wrong('an integer of 32 bits')
    case 'count':
    case 'timestamp':
      return Number.isSafeInteger(value) ? null : wrong('an integer')
    case 'int64':
      return isInt64(value) ? null : wrong('a bigint of 64 bits or a safe integer')
    case 'bool':
      return typeof value === 'boolean' ? null : wrong('true or false')
    case 'string':
      return typeof value === 'string' ? null : wrong('a string')
    case 'enum':
      return typeof value === 'string' && type.values.includes(value) ? null : wrong(`one of ${type.values.join(', ')}`)
    case 'vector':
      return Array.isArray(value) && value.length === type.length && value.every(Number.isFinite)
        ? null
        : wrong(`an array of ${type.length} finite numbers`)
    default:
      return `is not possible for a ${type.kind}`
  }
}

function isInt64(value: unknown): boolean {
  return typeof value === 'bigint' ? BigInt.asIntN(64, value) === value : Number.isSafeInteger(value)
}

const ORDERED = new Set<ValueType['kind']>(['count', 'float64', 'float32', 'int32', 'int64', 'timestamp'])

/** Says why `expect` rules cannot hold for a feature of `type`, or null. */
export function expectationProblem(expectation: Expectation, type: ValueType): string | null {
  const { between, oneOf, matches, nullShare } = expectation
  if (between !== undefined) {
    if (!ORDERED.has(type.kind)) return `between needs a number, the feature is a ${type.kind}`
    const [min, max] = between
    if (!isBound(min) || !isBound(max) || min > max)
      return `between must be [least, greatest], found [${String(min)}, ${String(max)}]`
  }
  for (const value of oneOf ?? []) {
    const problem = valueProblem(value, type)
    if (problem !== null) return `a value of oneOf ${problem}`
  }
  if (matches !== undefined) {
    if (type.kind !== 'string' && type.kind !== 'enum') return `matches needs a string, the feature is a ${type.kind}`
    const problem = patternProblem(matches)
    if (problem !== null) return `matches is not a regular expression: ${problem}`
  }
  if (nullShare !== undefined && !(nullShare >= 0 && nullShare <= 1))
    return `nullShare must lie between 0 and 1, found ${String(nullShare)}`
  return null
}

function isBound(value: unknown): boolean {
  return typeof value === 'bigint' || Number.isFinite(value)
}

function patternProblem(pattern: string): string | null {
  try {
    void new RegExp(`^(?:${pattern})$`, 'u')
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
