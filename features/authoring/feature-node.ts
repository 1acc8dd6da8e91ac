import type { AggregationKind } from '../plan/view-plan.ts'
import type { TypeNode } from './types.ts'

/** A feature as written, not yet checked: the registry compiles it to a `FeaturePlan` and says what is wrong with it. */
export interface FeatureSpec {
  readonly kind: AggregationKind
  /** Column name, function of the event, or null for the kinds that read none. */
  readonly input: unknown
  /** Declared type of a function's results (`{ type }`), or null. */
  readonly inputType: TypeNode | null
  /** Kind-specific, as given (durations are text), defaults filled in. */
  readonly params: Readonly<Record<string, unknown>>
  /** null: no window (`latest`). */
  readonly window: { readonly length: string; readonly hop: string | null } | null
  readonly bucketBy: { readonly column: string; readonly limit: number } | null
  /** undefined: none. */
  readonly default: unknown
}

/**
 * A feature. The parameters only say what the view checks and infers: `A` the aggregation, `I` its input ('' none, a column's name, or the type of a
 * function), `N` the declared type of a function's results, `B` the column of `bucketBy` ('' none), `D` the default (undefined: none).
 */
export interface FeatureNode<A extends AggregationKind, I, N, B extends string, D> {
  readonly spec: FeatureSpec
  readonly shape?: { readonly kind: A; readonly input: I; readonly type: N; readonly bucket: B; readonly default: D }
}

export type AnyFeature = FeatureNode<AggregationKind, unknown, unknown, string, unknown>

export interface Feature<A extends AggregationKind, I, N, B extends string = '', D = undefined> extends FeatureNode<
  A,
  I,
  N,
  B,
  D
> {
  /**
   * A map with one value per value of `column` (not a vector), in canonical key order; events whose column is null are skipped. At most `limit` keys
   * (1–10,000, default 100): of more, the smallest are kept.
   */
  bucketBy<const C extends string>(column: C, options?: { readonly limit?: number }): Feature<A, I, N, C, D>
  /** Stands in for every null value (MISSING, EMPTY_WINDOW, INVALID: then DEFAULTED; EXPIRED keeps its status). Of the feature's own type. */
  default<const V>(value: V): Feature<A, I, N, B, V>
}

export interface Aggregation<A extends AggregationKind, I, N> {
  /**
   * The window: `'500ms' '30s' '5m' '1h' '7d'` or `'lifetime'`. It must be a multiple of its hop. Default hop: 1 min up to 1 h, 15 min up to 24 h, 1 h
   * up to 7 d, 6 h up to 30 d, else 1 d.
   */
  over(window: string, options?: { readonly hop?: string }): Feature<A, I, N>
}

/** A frozen feature node. */
export function featureNode<A extends AggregationKind, I, N, B extends string, D>(
  spec: FeatureSpec,
): Feature<A, I, N, B, D> {
  return Object.freeze({
    spec: Object.freeze(spec),
    bucketBy: <const C extends string>(column: C, { limit = 100 }: { readonly limit?: number } = {}) =>
      featureNode<A, I, N, C, D>({ ...spec, bucketBy: { column, limit } }),
    default: <const V>(value: V) => featureNode<A, I, N, B, V>({ ...spec, default: value }),
  })
}
