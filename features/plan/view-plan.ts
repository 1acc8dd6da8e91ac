import type { FieldPlan, FieldType, ValueType } from './field-type.ts'
import type { EntityPlan, SourcePlan } from './source-plan.ts'

/**
 * Version of the plan format and of everything in the kernel that decides a value: aggregations, statuses, the Math of user functions. It is part of
 * every plan, so a change of it makes new versions of all views and services.
 */
export const KERNEL_VERSION = 1

/** What an aggregation reads from an event: a column, or function number `fn` of the bundled code, whose results have `type`. */
export type InputPlan =
  | { readonly column: string; readonly type: FieldType; readonly nullable: boolean }
  | { readonly fn: number; readonly type: FieldType; readonly nullable: true }

/** Every aggregation of the authoring API. `input` is null only for count and decayedCount. */
export type AggregationPlan =
  | { readonly kind: 'count'; readonly input: null }
  | { readonly kind: 'countWhere'; readonly input: InputPlan }
  | {
      readonly kind: 'sum' | 'mean' | 'min' | 'max' | 'any' | 'all' | 'first' | 'last' | 'latest'
      readonly input: InputPlan
    }
  | { readonly kind: 'variance' | 'stddev'; readonly input: InputPlan; readonly sample: boolean }
  | { readonly kind: 'skewness' | 'kurtosis'; readonly input: InputPlan }
  | { readonly kind: 'firstN' | 'lastN' | 'topN' | 'bottomN'; readonly input: InputPlan; readonly n: number }
  | { readonly kind: 'distinctCount' | 'valueCounts'; readonly input: InputPlan; readonly limit: number }
  | { readonly kind: 'approxDistinctCount'; readonly input: InputPlan; readonly precision: number }
  | {
      readonly kind: 'quantile'
      readonly input: InputPlan
      readonly q: number
      readonly relativeError: number
      readonly maxBuckets: number
    }
  | { readonly kind: 'histogram'; readonly input: InputPlan; readonly edges: readonly number[] }
  | { readonly kind: 'vectorSum' | 'vectorMean'; readonly input: InputPlan }
  | { readonly kind: 'decayedSum'; readonly input: InputPlan; readonly halfLifeMs: number }
  | { readonly kind: 'decayedCount'; readonly input: null; readonly halfLifeMs: number }

export type AggregationKind = AggregationPlan['kind']

/**
 * A window of `lengthMs`, a multiple of `hopMs`, evaluated at t covers the events with `floor((t − lengthMs) / hopMs) · hopMs ≤ τ < t`
 * (epoch-aligned integer ms, UTC). `lifetime` covers every τ < t.
 */
export type WindowPlan =
  { readonly kind: 'lifetime' } | { readonly kind: 'sliding'; readonly lengthMs: number; readonly hopMs: number }

/** Values inside plans: JSON-clean. bigint as `{int64}`, bytes as `{base64}`, maps as `{pairs}`, non-JSON-able doubles do not occur. */
export type PlanValue =
  | null
  | boolean
  | number
  | string
  | { readonly int64: string }
  | { readonly base64: string }
  | { readonly pairs: readonly (readonly [PlanValue, PlanValue])[] }
  | readonly PlanValue[]

export type RulePlan =
  | { readonly kind: 'notNull' }
  | { readonly kind: 'between'; readonly min: PlanValue; readonly max: PlanValue }
  | { readonly kind: 'oneOf'; readonly values: readonly PlanValue[] }
  /** An ECMAScript regular expression, flags `u` only, tested against the whole string. */
  | { readonly kind: 'matches'; readonly pattern: string }

export interface FeaturePlan {
  readonly name: string
  readonly aggregation: AggregationPlan
  readonly window: WindowPlan
  readonly bucketBy: { readonly column: string; readonly type: FieldType; readonly limit: number } | null
  /** Replaces null values; status DEFAULTED. null: no default. */
  readonly default: PlanValue
  /** Value rules decided by the kernel: a value that breaks one becomes null, INVALID. `nullShare` is monitored, not decided per row. */
  readonly rules: readonly RulePlan[]
  readonly nullShareMax: number | null
  readonly type: ValueType
}

/**
 * A feature view, compiled. Its version is SHA-256 over the canonical bytes of this plan (see `canonical-json.ts`) and the bundled code.
 * Owner, tags, description and freshness are catalogue data and are not part of the plan: changing them changes no value.
 */
export interface ViewPlan {
  readonly kind: 'view'
  readonly kernel: typeof KERNEL_VERSION
  readonly name: string
  readonly entity: EntityPlan
  readonly source: SourcePlan
  /** Function number of `where` in the bundled code, or null. */
  readonly where: number | null
  readonly features: readonly FeaturePlan[]
  readonly ttlMs: number | null
  /** How many functions the bundled code exports; `functions[i]` in `InputPlan.fn` and `where`. */
  readonly functionCount: number
}

/** One feature of a service, in vector order. */
export interface ServiceFeaturePlan {
  readonly view: string
  readonly viewVersion: string
  readonly feature: string
  /** `view__feature`. */
  readonly fullName: string
  readonly type: ValueType
}

export interface DerivedPlan {
  readonly name: string
  readonly fn: number
}

/**
 * A feature service: features in order, then request fields, then derived fields. Its version is SHA-256 over this plan's canonical bytes
 * (which name the view versions) and the derive code. Derived values are float64 unless
 * declared otherwise.
 */
export interface ServicePlan {
  readonly kind: 'service'
  readonly kernel: typeof KERNEL_VERSION
  readonly name: string
  readonly features: readonly ServiceFeaturePlan[]
  readonly request: readonly FieldPlan[]
  readonly derived: readonly (DerivedPlan & { readonly type: FieldType })[]
  readonly functionCount: number
}
