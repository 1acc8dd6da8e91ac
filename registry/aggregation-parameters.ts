import type { AggregationKind } from '../features/plan/view-plan.ts'
import { describeValue } from './describe-value.ts'
import { parseDuration } from './durations.ts'

/** Why a parameter is wrong ("must be …"), or null. */
type Check = (value: unknown) => string | null

const integer =
  (least: number, greatest: number): Check =>
  (value) =>
    Number.isInteger(value) && Number(value) >= least && Number(value) <= greatest
      ? null
      : `must be an integer from ${count(least)} to ${count(greatest)}`
const number =
  (least: number, greatest: number): Check =>
  (value) =>
    typeof value === 'number' && value >= least && value <= greatest
      ? null
      : `must lie between ${least} and ${greatest}`
const bool: Check = (value) => (typeof value === 'boolean' ? null : 'must be true or false')
const duration: Check = (value) =>
  parseDuration(value) === null ? "must be a duration like '1h', in { halfLife: '1h' }" : null
const edges: Check = (value) => {
  if (!Array.isArray(value) || value.length === 0 || value.length > 1024 || !value.every(Number.isFinite))
    return 'must be an array of 1 to 1,024 finite numbers'
  return (value as number[]).every((edge, i) => i === 0 || edge > value[i - 1]) ? null : 'must ascend'
}
const N = { n: integer(1, 1000) }

/** The parameters of each aggregation; all are there, filled in by the authoring API where they have a default. */
export const AGGREGATION_PARAMETERS: Readonly<Record<AggregationKind, Readonly<Record<string, Check>>>> = {
  count: {},
  countWhere: {},
  sum: {},
  mean: {},
  min: {},
  max: {},
  variance: { sample: bool },
  stddev: { sample: bool },
  skewness: {},
  kurtosis: {},
  first: {},
  last: {},
  latest: {},
  firstN: N,
  lastN: N,
  topN: N,
  bottomN: N,
  distinctCount: { limit: integer(1, 100_000) },
  approxDistinctCount: { precision: integer(4, 16) },
  quantile: { q: number(0, 1), relativeError: number(0.0001, 0.5), maxBuckets: integer(16, 65_536) },
  histogram: { edges },
  valueCounts: { limit: integer(1, 10_000) },
  any: {},
  all: {},
  vectorSum: {},
  vectorMean: {},
  decayedSum: { halfLife: duration },
  decayedCount: { halfLife: duration },
}

/** What is wrong with an aggregation's parameters, as a sentence, or null. */
export function parametersProblem(kind: AggregationKind, given: Readonly<Record<string, unknown>>): string | null {
  const checks = AGGREGATION_PARAMETERS[kind]
  for (const [name, check] of Object.entries(checks)) {
    const problem = check(given[name])
    if (problem !== null) return `${name} of ${kind} ${problem}, found ${describeValue(given[name])}`
  }
  for (const name of Object.keys(given))
    if (!(name in checks))
      return `${kind} has no option ${describeValue(name)}; it has ${[...Object.keys(checks), 'type'].join(', ')}, and over(window, { hop }) has hop`
  return null
}

export const bucketLimitProblem: Check = integer(1, 10_000)

function count(value: number): string {
  return value.toLocaleString('en-US')
}
