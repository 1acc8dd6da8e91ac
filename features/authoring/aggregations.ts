import type { AggregationKind } from '../plan/view-plan.ts'
import { featureNode } from './feature-node.ts'
import type { Aggregation, Feature, FeatureSpec } from './feature-node.ts'
import type { TypeNode } from './types.ts'

/** A column's name, or a pure function of the event (a throw, a wrong type or a non-finite result is null, counted as a function error). */
type Input<E> = string | ((event: E) => unknown)
/** `type`: of a function's results. Default: float64; bool for countWhere, any and all. A column has its own. */
interface Typed<N> {
  readonly type?: N
}
type MaybeType = TypeNode | undefined

/**
 * The aggregations; `E` is the event that functions see. All are exact and independent of the order of events unless said otherwise. Null inputs are
 * skipped; a window without any other event gives null (counts: 0) and status EMPTY_WINDOW, a result without meaning null and INVALID.
 */
export interface Aggregations<E> {
  /** Number of events. */
  readonly count: () => Aggregation<'count', '', undefined>
  /** Number of events for which a function or a bool column is true. */
  readonly countWhere: <const I extends Input<E>>(predicate: I) => Aggregation<'countWhere', I, undefined>
  /** Σ, rounded once: float64. Over int32 and int64 an exact bigint; beyond 64 bits INVALID. Overflow: INVALID. */
  readonly sum: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'sum', I, N>
  /** round(round(Σ) / n): float64. */
  readonly mean: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'mean', I, N>
  /** Least number or timestamp, of the input's type. */
  readonly min: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'min', I, N>
  /** Greatest number or timestamp, of the input's type. */
  readonly max: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'max', I, N>
  /** Population variance, or with `sample` that of a sample (one value: INVALID). From exact sums, rounded once. */
  readonly variance: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N> & { readonly sample?: boolean },
  ) => Aggregation<'variance', I, N>
  /** Square root of the variance, rounded once. */
  readonly stddev: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N> & { readonly sample?: boolean },
  ) => Aggregation<'stddev', I, N>
  /** Population skewness m₃ / m₂^1.5, rounded once. INVALID where all values are equal. */
  readonly skewness: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'skewness', I, N>
  /** Population excess kurtosis m₄ / m₂² − 3, rounded once. INVALID where all values are equal. */
  readonly kurtosis: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'kurtosis', I, N>
  /** Value of the oldest event by (τ, position). */
  readonly first: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'first', I, N>
  /** Value of the newest event by (τ, position). */
  readonly last: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'last', I, N>
  /** The `n` (1–1,000) oldest values, oldest first. */
  readonly firstN: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    n: number,
    options?: Typed<N>,
  ) => Aggregation<'firstN', I, N>
  /** The `n` (1–1,000) newest values, newest first. */
  readonly lastN: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    n: number,
    options?: Typed<N>,
  ) => Aggregation<'lastN', I, N>
  /** The `n` (1–1,000) greatest values, descending, equal ones as often as they occur. Strings by UTF-8 bytes. */
  readonly topN: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    n: number,
    options?: Typed<N>,
  ) => Aggregation<'topN', I, N>
  /** The `n` (1–1,000) least values, ascending, equal ones as often as they occur. */
  readonly bottomN: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    n: number,
    options?: Typed<N>,
  ) => Aggregation<'bottomN', I, N>
  /** Number of different values, exactly. More than `limit` (1–100,000, default 1,000): INVALID. */
  readonly distinctCount: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N> & { readonly limit?: number },
  ) => Aggregation<'distinctCount', I, N>
  /** HyperLogLog (Flajolet et al. 2007): relative standard error 1.04 / √(2^precision); precision 4–16, default 10 (3.3 %, 1 KiB a tile). */
  readonly approxDistinctCount: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N> & { readonly precision?: number },
  ) => Aggregation<'approxDistinctCount', I, N>
  /**
   * DDSketch (Masson, Rim, Lee 2019): the value of rank ⌊1 + q·(n − 1)⌋, within `relativeError` (0.0001–0.5, default 0.01); 0 ≤ q ≤ 1. Of more than
   * `maxBuckets` (16–65,536, default 2,048) the lowest collapse and lose the bound.
   */
  readonly quantile: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    q: number,
    options?: Typed<N> & { readonly relativeError?: number; readonly maxBuckets?: number },
  ) => Aggregation<'quantile', I, N>
  /** Counts below edges[0], in [edges[i], edges[i + 1]) …, from the last edge up: one more than edges. 1–1,024 ascending edges. */
  readonly histogram: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    edges: readonly number[],
    options?: Typed<N>,
  ) => Aggregation<'histogram', I, N>
  /** How often each value occurs, in canonical key order. Of more than `limit` (1–10,000, default 100) values the smallest are kept. */
  readonly valueCounts: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N> & { readonly limit?: number },
  ) => Aggregation<'valueCounts', I, N>
  /** Whether a bool column or function is true for at least one event. */
  readonly any: <const I extends Input<E>>(input: I) => Aggregation<'any', I, undefined>
  /** Whether a bool column or function is true for every event. */
  readonly all: <const I extends Input<E>>(input: I) => Aggregation<'all', I, undefined>
  /** Σ of each component, rounded once to float32; beyond its range INVALID. */
  readonly vectorSum: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'vectorSum', I, N>
  /** Mean of each component, rounded once to float32. */
  readonly vectorMean: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options?: Typed<N>,
  ) => Aggregation<'vectorMean', I, N>
  /** Σ x · 2^−((t − τ) / halfLife). Weights are doubles within 2 ulp, the sum is exact; events more than 64 half-lives older than the newest count 0. */
  readonly decayedSum: <const I extends Input<E>, N extends MaybeType = undefined>(
    input: I,
    options: Typed<N> & { readonly halfLife: string },
  ) => Aggregation<'decayedSum', I, N>
  /** Σ 2^−((t − τ) / halfLife), like decayedSum: float64, null for an empty window. */
  readonly decayedCount: (options: { readonly halfLife: string }) => Aggregation<'decayedCount', '', undefined>
  /** The value in the entity's newest event by (τ, position), which may be null. No window. */
  readonly latest: <const C extends string>(column: C) => Feature<'latest', C, undefined>
}

interface Options extends Typed<TypeNode> {
  readonly [param: string]: unknown
}

function aggregation(kind: AggregationKind, input: unknown, options: Options = {}): Aggregation<never, never, never> {
  return Object.freeze({
    over: (length: string, { hop = null, ...unknown }: { readonly hop?: string | null } = {}) =>
      featureNode<never, never, never, '', undefined>(spec(kind, input, { ...options, ...unknown }, { length, hop })),
  })
}

function spec(kind: AggregationKind, input: unknown, options: Options, window: FeatureSpec['window']): FeatureSpec {
  const { type = null, ...params } = options
  return { kind, input, inputType: type, params, window, bucketBy: null, default: undefined }
}

/** What is no object of options is told by `plan`, with its line. */
function optionsOf(options: unknown = {}): Options {
  return typeof options === 'object' && options !== null ? (options as Options) : { options }
}

const over =
  <A extends AggregationKind>(kind: A) =>
  (input: unknown, options?: Options) =>
    aggregation(kind, input, optionsOf(options))
const best =
  <A extends AggregationKind>(kind: A) =>
  (input: unknown, n: number, options?: Options) =>
    aggregation(kind, input, { ...optionsOf(options), n })
const withDefaults =
  <A extends AggregationKind>(kind: A, defaults: Options) =>
  (input: unknown, options?: Options) =>
    aggregation(kind, input, { ...defaults, ...optionsOf(options) })

/** The types say what is checked; at run time every aggregation is its kind, input and parameters. */
const built = {
  count: (input: unknown = null) => aggregation('count', input),
  countWhere: over('countWhere'),
  sum: over('sum'),
  mean: over('mean'),
  min: over('min'),
  max: over('max'),
  variance: withDefaults('variance', { sample: false }),
  stddev: withDefaults('stddev', { sample: false }),
  skewness: over('skewness'),
  kurtosis: over('kurtosis'),
  first: over('first'),
  last: over('last'),
  firstN: best('firstN'),
  lastN: best('lastN'),
  topN: best('topN'),
  bottomN: best('bottomN'),
  distinctCount: withDefaults('distinctCount', { limit: 1000 }),
  approxDistinctCount: withDefaults('approxDistinctCount', { precision: 10 }),
  quantile: (input: unknown, q: number, options?: Options) =>
    aggregation('quantile', input, { relativeError: 0.01, maxBuckets: 2048, ...optionsOf(options), q }),
  histogram: (input: unknown, edges: readonly number[], options?: Options) =>
    aggregation('histogram', input, { ...optionsOf(options), edges }),
  valueCounts: withDefaults('valueCounts', { limit: 100 }),
  any: over('any'),
  all: over('all'),
  vectorSum: over('vectorSum'),
  vectorMean: over('vectorMean'),
  decayedSum: over('decayedSum'),
  decayedCount: (options: Options) => aggregation('decayedCount', null, optionsOf(options)),
  latest: (column: unknown) => featureNode<never, never, never, '', undefined>(spec('latest', column, {}, null)),
} satisfies Record<AggregationKind, unknown>

/** What `features: (on) => ({ … })` is called with: the same aggregations, with the event's type. */
export const AGGREGATIONS = Object.freeze(built) as unknown as Aggregations<never>

// oxlint-disable-next-line typescript/no-explicit-any -- the argument of a chained call has no contextual type; see docs/decisions/0010
const loose = AGGREGATIONS as Aggregations<any>
export const { count, countWhere, sum, mean, min, max, variance, stddev, skewness, kurtosis } = loose
export const { first, last, firstN, lastN, topN, bottomN, latest } = loose
export const { distinctCount, approxDistinctCount, quantile, histogram, valueCounts } = loose
export const { any, all, vectorSum, vectorMean, decayedSum, decayedCount } = loose
