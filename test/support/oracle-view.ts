import type { StatusName } from '../../features/aggregation/result-column.ts'
import type { Value } from '../../features/plan/field-type.ts'
import type { FeaturePlan, InputPlan, RulePlan, ViewPlan } from '../../features/plan/view-plan.ts'
import { direct, readCell, subject } from './aggregation-cells.ts'
import { byValue, INVALID, oracleAggregation } from './oracle-aggregations.ts'
import type { OracleInput, OracleValue } from './oracle-aggregations.ts'

/** The obvious evaluation of a view, event by event. It judges every clever path; clarity over speed. */
export interface OracleEvent {
  readonly tau: number
  readonly arrival: number
  readonly offset: number
  readonly index: number
  readonly fields: Readonly<Record<string, Value>>
}

export interface OracleCell {
  readonly value: Value
  readonly status: StatusName
}

/** A user function as written, not as bundled. */
export type OracleFunction = (fields: OracleEvent['fields']) => unknown

/** Sketches and decayed sums: judged for accuracy by their own tests, here by one pass over the window's events in order, without tiles, merges or restarts. */
const ONE_PASS = new Set(['approxDistinctCount', 'quantile', 'decayedSum', 'decayedCount', 'vectorSum', 'vectorMean'])

/** The view's features at t over the events that are visible. `functions` in the order of the plan's numbers. */
export function oracleView(
  plan: ViewPlan,
  functions: readonly OracleFunction[],
  visible: readonly OracleEvent[],
  t: number,
): OracleCell[] {
  const { where } = plan
  const events = visible.filter((event) => where === null || attempt(functions[where], event) === true)
  const newest = events.reduce((greatest, { tau }) => Math.max(greatest, tau), -Infinity)
  return plan.features.map((feature) => {
    const cell = ruled(feature, oracleFeature(plan, feature, functions, events, newest, t))
    return defaulted(feature, cell)
  })
}

/** The newest τ of the events that pass `where`, −Infinity without one. */
export function oracleNewest(
  plan: ViewPlan,
  functions: readonly OracleFunction[],
  visible: readonly OracleEvent[],
): number {
  const { where } = plan
  return visible
    .filter((event) => where === null || attempt(functions[where], event) === true)
    .reduce((greatest, { tau }) => Math.max(greatest, tau), -Infinity)
}

function attempt(fn: OracleFunction, event: OracleEvent): unknown {
  try {
    return fn(event.fields)
  } catch {
    return undefined
  }
}

function defaulted(feature: FeaturePlan, cell: OracleCell): OracleCell {
  if (cell.value !== null || feature.default === null) return cell
  return { value: plain(feature.default), status: cell.status === 'EXPIRED' ? 'EXPIRED' : 'DEFAULTED' }
}

function ruled(feature: FeaturePlan, cell: OracleCell): OracleCell {
  if (cell.status !== 'PRESENT' || feature.rules.every((rule) => holds(rule, cell.value))) return cell
  return { value: null, status: 'INVALID' }
}

function holds(rule: RulePlan, value: Value): boolean {
  if (rule.kind === 'notNull') return value !== null
  if (value === null) return true
  switch (rule.kind) {
    case 'between':
      return Number(value) >= Number(plain(rule.min)) && Number(value) <= Number(plain(rule.max))
    case 'oneOf':
      return rule.values.some((allowed) => plain(allowed) === value)
    case 'matches':
      return typeof value === 'string' && value.replace(new RegExp(rule.pattern, 'u'), '') === '' && value !== ''
  }
}

function plain(value: unknown): Value {
  if (typeof value === 'object' && value !== null && 'int64' in value) return BigInt(value.int64 as string)
  return value as Value
}

function oracleFeature(
  plan: ViewPlan,
  feature: FeaturePlan,
  functions: readonly OracleFunction[],
  events: readonly OracleEvent[],
  newest: number,
  t: number,
): OracleCell {
  const empty = feature.type.kind === 'count' ? 0 : null
  if (events.length === 0 || newest < t - retentionOf(plan)) return { value: empty, status: 'MISSING' }
  if (plan.ttlMs !== null && newest < t - plan.ttlMs) return { value: null, status: 'EXPIRED' }
  const start = windowStart(feature, t)
  const value = aggregate(feature, functions, events.filter(({ tau }) => tau >= start && tau < t).sort(byOrder), t)
  if (value === undefined || (value === 0 && feature.type.kind === 'count'))
    return { value: empty, status: 'EMPTY_WINDOW' }
  return value === INVALID ? { value: null, status: 'INVALID' } : { value, status: 'PRESENT' }
}

function windowStart(feature: FeaturePlan, t: number): number {
  if (feature.window.kind === 'lifetime') return -Infinity
  const { lengthMs, hopMs } = feature.window
  return Math.floor((t - lengthMs) / hopMs) * hopMs
}

function retentionOf(plan: ViewPlan): number {
  let longest = plan.ttlMs ?? 0
  let hop = 0
  for (const { window } of plan.features) {
    if (window.kind === 'lifetime') return Infinity
    longest = Math.max(longest, window.lengthMs)
    hop = Math.max(hop, window.hopMs)
  }
  return longest + hop
}

function byOrder(a: OracleEvent, b: OracleEvent): number {
  return a.tau - b.tau || a.offset - b.offset || a.index - b.index
}

/** undefined: no contributing event. */
function aggregate(
  feature: FeaturePlan,
  functions: readonly OracleFunction[],
  events: readonly OracleEvent[],
  t: number,
): OracleValue {
  const { aggregation, bucketBy } = feature
  const inputs = events
    .map((event) => ({ ...event, value: inputOf(aggregation.input, functions, event) }))
    .filter(({ value }) => aggregation.input === null || aggregation.kind === 'latest' || value !== null)
  if (bucketBy === null) return single(feature, inputs, t)
  const keyed = inputs.filter(({ fields }) => fields[bucketBy.column] !== null)
  const keyOf = (value: Value): string =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : `${value as string}`
  const keys = new Map(keyed.map(({ fields }) => [keyOf(fields[bucketBy.column]), fields[bucketBy.column]]))
  const kept = [...keys].sort(([, a], [, b]) => byValue(a, b)).slice(0, bucketBy.limit)
  if (kept.length === 0) return undefined
  return new Map(
    kept.map(([text, key]) => {
      const value = single(
        feature,
        keyed.filter(({ fields }) => keyOf(fields[bucketBy.column]) === text),
        t,
      )
      return [key, value === INVALID || value === undefined ? null : value]
    }),
  )
}

function single(feature: FeaturePlan, inputs: readonly OracleInput[], t: number): OracleValue {
  const { aggregation } = feature
  if (!ONE_PASS.has(aggregation.kind)) return oracleAggregation(aggregation, inputs)
  if (inputs.length === 0) return undefined
  const tried = subject(aggregation)
  const cell = readCell(
    tried,
    direct(
      tried,
      inputs.map((input) => ({ ...input, bucket: null })),
    ),
    0,
    t,
  )
  return cell.status === 'INVALID' ? INVALID : cell.value
}

function inputOf(input: InputPlan | null, functions: readonly OracleFunction[], event: OracleEvent): Value {
  if (input === null) return null
  if ('column' in input) return event.fields[input.column]
  const result = attempt(functions[input.fn], event)
  if (input.type.kind === 'bool') return typeof result === 'boolean' ? result : null
  if (input.type.kind !== 'float64')
    throw new Error(`the view oracle does not know functions that give ${input.type.kind}`)
  return typeof result === 'number' && Number.isFinite(result) ? result + 0 : null
}
