import type { Value } from '../../features/plan/field-type.ts'
import type { AggregationPlan } from '../../features/plan/view-plan.ts'

/** The obvious aggregation of an array of events: exact rationals in BigInt, rounding by bisection over the doubles. Clarity over speed. */
export interface OracleInput {
  readonly tau: number
  readonly offset: number
  readonly index: number
  readonly value: Value
}

/** These events have no value: overflow, a limit, or undefined. */
export const INVALID: unique symbol = Symbol('invalid')

/** undefined: no contributing event. */
export type OracleValue = Value | undefined | typeof INVALID

/** Every double and every middle between two neighbours is a whole number of 2^−1076. */
const SCALE = 1076n
const view = new DataView(new ArrayBuffer(8))

/** value · 2^1076. */
export function units(value: number | bigint): bigint {
  if (typeof value === 'bigint') return value << SCALE
  view.setFloat64(0, Math.abs(value))
  const magnitude = unitsOfBits(view.getBigUint64(0))
  return value < 0 ? -magnitude : magnitude
}

/** `bits` of a double ≥ 0; those of Infinity stand for 2^1024. */
function unitsOfBits(bits: bigint): bigint {
  const exponent = bits >> 52n
  const fraction = bits & 0xfffffffffffffn
  return (exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n)) << 2n
}

/** The double nearest to p/q (q > 0), ties to even. */
export function nearest(p: bigint, q: bigint): number {
  const magnitude = p < 0n ? -p : p
  const value = bisect((candidate) => (magnitude << SCALE) - candidate * q)
  return p < 0n ? -value + 0 : value
}

/** The double nearest to √(p/q). */
export function nearestRoot(p: bigint, q: bigint): number {
  return bisect((candidate) => (p << (2n * SCALE)) - candidate * candidate * q)
}

/** `above(units)` is positive where the wanted value is greater. Doubles ≥ 0 are ordered as their bits. */
function bisect(above: (candidate: bigint) => bigint): number {
  let low = 0n
  let high = 0x7ff0000000000000n
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (above(unitsOfBits(middle)) >= 0n) low = middle
    else high = middle
  }
  const side = above((unitsOfBits(low) + unitsOfBits(high)) / 2n)
  view.setBigUint64(0, side > 0n || (side === 0n && (low & 1n) === 1n) ? high : low)
  return view.getFloat64(0)
}

const sum = (terms: readonly bigint[]): bigint => terms.reduce((total, term) => total + term, 0n)
const finite = (value: number): OracleValue => (Number.isFinite(value) ? value : INVALID)

/** Values as they come out of the kernel; approximate kinds are judged by their own tests. */
export function oracleAggregation(plan: AggregationPlan, events: readonly OracleInput[]): OracleValue {
  const ordered = [...events].sort((a, b) => a.tau - b.tau || a.offset - b.offset || a.index - b.index)
  const values = ordered.map(({ value }) => value)
  if (plan.kind === 'count') return values.length
  if (plan.kind === 'countWhere') return values.filter((value) => value === true).length
  if (plan.kind === 'distinctCount') return distinct(values, plan.limit)
  if (values.length === 0) return undefined
  switch (plan.kind) {
    case 'first':
      return values[0]
    case 'last':
    case 'latest':
      return values.at(-1)
    case 'firstN':
      return values.slice(0, plan.n)
    case 'lastN':
      return values.slice(-plan.n).reverse()
    case 'bottomN':
      return [...values].sort(byValue).slice(0, plan.n)
    case 'topN':
      return [...values].sort((a, b) => byValue(b, a)).slice(0, plan.n)
    case 'any':
      return values.includes(true)
    case 'all':
      return !values.includes(false)
    case 'valueCounts':
      return counts(values, plan.limit)
    default:
      return oracleNumbers(plan, values as (number | bigint)[])
  }
}

function distinct(values: readonly Value[], limit: number): OracleValue {
  const size = distinctValues(values).length
  return size > limit ? INVALID : size
}

function counts(values: readonly Value[], limit: number): Value {
  const keys = distinctValues(values).sort(byValue).slice(0, limit)
  return new Map(keys.map((key) => [key, values.filter((value) => byValue(value, key) === 0).length]))
}

function distinctValues(values: readonly Value[]): Value[] {
  return values.filter((value, i) => values.findIndex((other) => byValue(other, value) === 0) === i)
}

/** Canonical key order: strings by their UTF-8 bytes. */
export function byValue(a: Value, b: Value): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b)
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  const left = a as number
  const right = b as number
  return left < right ? -1 : left > right ? 1 : 0
}

function oracleNumbers(plan: AggregationPlan, values: readonly (number | bigint)[]): OracleValue {
  const n = BigInt(values.length)
  const x = values.map(units)
  const total = sum(x)
  const unit = 1n << SCALE
  switch (plan.kind) {
    case 'sum': {
      if (!['int32', 'int64'].includes(plan.input.type.kind)) return finite(nearest(total, unit))
      const exact = sum(values.map(BigInt))
      return BigInt.asIntN(64, exact) === exact ? exact : INVALID
    }
    case 'mean': {
      const rounded = nearest(total, unit)
      return Number.isFinite(rounded) ? rounded / values.length + 0 : INVALID
    }
    case 'min':
      return [...values].sort(byValue)[0]
    case 'max':
      return [...values].sort(byValue).at(-1)
    case 'histogram':
      return [-Infinity, ...plan.edges].map(
        (edge, i) => values.filter((value) => value >= edge && !(value >= (plan.edges[i] ?? Infinity))).length,
      )
    case 'variance':
    case 'stddev': {
      if (plan.sample && n === 1n) return INVALID
      // Σ(n·x − Σx)² / n² is Σ(x − mean)²
      const squares = sum(x.map((value) => (n * value - total) ** 2n))
      const divisor = n * n * (plan.sample ? n - 1n : n) * unit * unit
      return finite(plan.kind === 'variance' ? nearest(squares, divisor) : nearestRoot(squares, divisor))
    }
    case 'skewness':
    case 'kurtosis':
      return standardisedMoment(plan.kind, x, n)
    default:
      throw new Error(`the oracle does not know ${plan.kind}`)
  }
}

/** With d = n·x − Σx: skewness = (Σd³/n) / (Σd²/n)^1.5, excess kurtosis = (Σd⁴/n) / (Σd²/n)² − 3. */
function standardisedMoment(kind: 'skewness' | 'kurtosis', x: readonly bigint[], n: bigint): OracleValue {
  const total = sum(x)
  const d = x.map((value) => n * value - total)
  const second = sum(d.map((value) => value ** 2n))
  if (second === 0n) return INVALID
  if (kind === 'kurtosis') {
    const fourth = sum(d.map((value) => value ** 4n))
    return nearest(n * fourth - 3n * second * second, second * second)
  }
  const third = sum(d.map((value) => value ** 3n))
  const root = nearestRoot(n * third * third, second * second * second)
  return third < 0n ? -root + 0 : root
}
