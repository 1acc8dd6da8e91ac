import type { StatusName } from '../../features/aggregation/result-column.ts'
import type { Value } from '../../features/plan/field-type.ts'
import type { FeaturePlan, ViewPlan } from '../../features/plan/view-plan.ts'

/** The obvious evaluation of a view, event by event, with exact rational sums in BigInt. It judges every clever path; clarity over speed. */
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

/** The view's features at t over the events that are visible. `where` as a plain predicate. */
export function oracleView(
  plan: ViewPlan,
  where: ((fields: OracleEvent['fields']) => boolean) | null,
  visible: readonly OracleEvent[],
  t: number,
): OracleCell[] {
  const events = visible.filter((event) => where === null || where(event.fields))
  const newest = Math.max(-Infinity, ...events.map((event) => event.tau))
  return plan.features.map((feature) => withDefault(feature, oracleFeature(plan, feature, events, newest, t)))
}

function withDefault(feature: FeaturePlan, cell: OracleCell): OracleCell {
  if (cell.value !== null || feature.default === null) return cell
  return { value: feature.default as Value, status: cell.status === 'EXPIRED' ? 'EXPIRED' : 'DEFAULTED' }
}

function oracleFeature(
  plan: ViewPlan,
  feature: FeaturePlan,
  events: readonly OracleEvent[],
  newest: number,
  t: number,
): OracleCell {
  const empty = feature.aggregation.kind === 'count' ? 0 : null
  if (events.length === 0 || newest < t - retentionOf(plan)) return { value: empty, status: 'MISSING' }
  if (plan.ttlMs !== null && newest < t - plan.ttlMs) return { value: null, status: 'EXPIRED' }
  const start = windowStart(feature, t)
  const inWindow = events.filter((event) => event.tau >= start && event.tau < t).sort(byOrder)
  const value = aggregate(feature, inWindow)
  if (value === undefined) return { value: empty, status: 'EMPTY_WINDOW' }
  if (value === 'invalid') return { value: null, status: 'INVALID' }
  return { value, status: 'PRESENT' }
}

function windowStart(feature: FeaturePlan, t: number): number {
  if (feature.window.kind === 'lifetime') return -Infinity
  const { lengthMs, hopMs } = feature.window
  return Math.floor((t - lengthMs) / hopMs) * hopMs
}

function retentionOf(plan: ViewPlan): number {
  if (plan.features.some((feature) => feature.window.kind === 'lifetime')) return Infinity
  const windows = plan.features.map((feature) => (feature.window.kind === 'lifetime' ? 0 : feature.window.lengthMs))
  const hops = plan.features.map((feature) => (feature.window.kind === 'lifetime' ? 0 : feature.window.hopMs))
  return Math.max(plan.ttlMs ?? 0, ...windows) + Math.max(...hops)
}

function byOrder(a: OracleEvent, b: OracleEvent): number {
  return a.tau - b.tau || a.offset - b.offset || a.index - b.index
}

/** undefined: no contributing event. */
function aggregate(feature: FeaturePlan, events: readonly OracleEvent[]): Value | undefined {
  const { aggregation } = feature
  if (aggregation.kind === 'count') return events.length === 0 ? undefined : events.length
  const { input } = aggregation
  if (input === null || !('column' in input)) throw new Error('the view oracle reads columns only')
  const inputs = events.map((event) => event.fields[input.column])
  if (aggregation.kind === 'latest') return inputs.at(-1)
  const values = inputs.filter((value) => value !== null)
  if (values.length === 0) return undefined
  const numbers = values as number[]
  switch (aggregation.kind) {
    case 'sum':
      return finite(exactSum(numbers))
    case 'mean': {
      const sum = exactSum(numbers)
      return Number.isFinite(sum) ? sum / numbers.length + 0 : 'invalid'
    }
    case 'min':
      return Math.min(...numbers)
    case 'max':
      return Math.max(...numbers)
    case 'first':
      return values[0]
    case 'last':
      return values.at(-1)
    default:
      throw new Error(`the view oracle does not know ${aggregation.kind}`)
  }
}

function finite(value: number): number | 'invalid' {
  return Number.isFinite(value) ? value : 'invalid'
}

/** Σ rounded once: doubles as integers in units of 2^−1074, added in BigInt. */
export function exactSum(values: readonly number[]): number {
  let total = 0n
  for (const value of values) total += fixedPoint(value)
  return roundFixedPoint(total)
}

const view = new DataView(new ArrayBuffer(8))

function fixedPoint(value: number): bigint {
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const magnitude = exponent === 0 ? fraction : (fraction | (1n << 52n)) << BigInt(exponent - 1)
  return value < 0 ? -magnitude : magnitude
}

function roundFixedPoint(total: bigint): number {
  const negative = total < 0n
  const magnitude = negative ? -total : total
  const bits = magnitude.toString(2).length
  if (bits <= 53) return scale(Number(magnitude), negative)
  const drop = BigInt(bits - 53)
  let kept = magnitude >> drop
  const rest = magnitude - (kept << drop)
  const half = 1n << (drop - 1n)
  if (rest > half || (rest === half && (kept & 1n) === 1n)) kept += 1n
  return scale(Number(kept), negative, Number(drop))
}

/** magnitude · 2^(drop − 1074), exact (or ±Infinity), as magnitude has at most 53 bits. */
function scale(magnitude: number, negative: boolean, drop: number = 0): number {
  const value = drop <= 900 ? magnitude * 2 ** drop * 2 ** -1074 : magnitude * 2 ** (drop - 1074)
  return negative ? -value + 0 : value + 0
}
