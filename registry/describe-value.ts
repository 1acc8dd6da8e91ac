import { DEFINITION } from '../features/authoring/definitions.ts'
import { didYouMean } from '../features/errors/closest-name.ts'

/** What stands where something else was expected, for messages. Never throws, never prints contents beyond a short text. */
export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (DEFINITION in value) return `${article(String(value[DEFINITION]))} definition`
  if ('over' in value) return 'an aggregation without .over(…)'
  if ('spec' in value) return 'a feature'
  if ('plan' in value && 'nullable' in value) return 'a type'
  return value instanceof Promise ? 'a promise (definitions are not async)' : 'another object'
}

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`
}

/** A plain object, as definitions are given in. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The first name of `given` that is not among `known`, as a sentence, or null. */
export function unknownName(given: Iterable<string>, known: readonly string[], what: string): string | null {
  for (const name of given)
    if (!known.includes(name))
      return `${what} has no option ${describeValue(name)}; it has ${known.join(', ')}${didYouMean(name, known)}`
  return null
}
