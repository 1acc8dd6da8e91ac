import type { AnyFeature, FeatureNode } from './aggregations.ts'
import type { EventOf, Schema, ValueOf } from './types.ts'

/** Marks definitions, so that a loader finds them among a module's exports. */
export const DEFINITION = Symbol.for('tidemark.definition')

export interface EntityDefinition<C extends Schema = Schema> {
  readonly [DEFINITION]: 'entity'
  readonly name: string
  readonly columns: C
}

export interface SourceDefinition<S extends Schema = Schema> {
  readonly [DEFINITION]: 'source'
  readonly kind: 'stream' | 'table'
  readonly name: string
  readonly topic: string
  readonly schema: S
  readonly eventTime: string
  readonly arrival: string | null
  readonly schedule: string | null
}

/** Rules on a feature's value; a value that breaks one reads null, INVALID. */
export interface Expectation {
  readonly notNull?: boolean
  /** Both bounds inclusive. */
  readonly between?: readonly [number | bigint, number | bigint]
  readonly oneOf?: readonly (string | number | boolean)[]
  /** An ECMAScript regular expression (flag u) that the whole string must match. */
  readonly matches?: string
  /** Greatest share of nulls, 0–1; monitored, not decided per row. */
  readonly nullShare?: number
}

export type Features = Readonly<Record<string, AnyFeature>>

export interface ViewOptions<S extends Schema, F extends Features> {
  readonly entity: EntityDefinition
  readonly from: SourceDefinition<S>
  /** Pure. Only events for which it returns true count. */
  readonly where?: (event: EventOf<{ schema: S }>) => boolean
  readonly features: F & CheckedFeatures<S, F>
  readonly ttl?: string
  readonly freshness?: string
  readonly expect?: { readonly [K in keyof F]?: Expectation }
  readonly owner?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly description?: string
}

/** Each feature whose column is unknown or of a wrong type is replaced by a sentence that says so. */
export type CheckedFeatures<S extends Schema, F> = {
  readonly [K in keyof F]: F[K] extends FeatureNode<infer A, infer C, unknown>
    ? C extends ''
      ? F[K]
      : C extends string
        ? CheckColumn<S, A, C, F[K]>
        : F[K]
    : F[K]
}
type NumberKinds = 'int32' | 'int64' | 'float32' | 'float64'
type NumberOnly =
  'sum' | 'mean' | 'variance' | 'stddev' | 'skewness' | 'kurtosis' | 'quantile' | 'histogram' | 'decayedSum'
type CheckColumn<S extends Schema, A extends string, C extends string, Ok> = C extends keyof S
  ? A extends NumberOnly
    ? S[C]['kind'] extends NumberKinds
      ? Ok
      : `${A} needs a column of numbers, but '${C}' is of type ${S[C]['kind']}.`
    : Ok
  : `The source has no column '${C}'; its columns are: ${Extract<keyof S, string>}.`

export interface ViewDefinition<N extends string = string, S extends Schema = Schema, F extends Features = Features> {
  readonly [DEFINITION]: 'view'
  readonly name: N
  readonly options: ViewOptions<S, F>
  /** All features, in the order of the definition. */
  all(): Selection<N, S, F, Extract<keyof F, string>>
  /** Some features, in the given order. */
  pick<const K extends readonly Extract<keyof F, string>[]>(...names: K): Selection<N, S, F, K[number]>
}

export interface Selection<
  N extends string = string,
  S extends Schema = Schema,
  F extends Features = Features,
  K extends string = string,
> {
  readonly view: ViewDefinition<N, S, F>
  readonly names: readonly K[]
}

export interface ServiceDefinition<V = unknown> {
  readonly [DEFINITION]: 'service'
  readonly name: string
  readonly features: readonly Selection[]
  readonly request: Schema
  readonly derive: Readonly<Record<string, (vector: never) => unknown>>
  readonly owner: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly description: string | null
  readonly vector?: V
}

type FeatureValue<S extends Schema, F> =
  F extends FeatureNode<infer A, infer C, infer V> ? (V extends 'column' ? ColumnValue<S, A, C> : V) : never
type ColumnValue<S extends Schema, A, C> = C extends keyof S
  ? A extends 'sum'
    ? S[C]['kind'] extends 'int32' | 'int64'
      ? bigint
      : number
    : NonNullable<ValueOf<S[C]>>
  : number
type SelectionVector<L> =
  L extends Selection<infer N, infer S, infer F, infer K>
    ? {
        readonly [P in K as `${N}__${P}`]:
          FeatureValue<S, F[P]> | (F[P] extends { readonly hasDefault: true } ? never : null)
      }
    : never
type Intersect<U> = (U extends unknown ? (x: U) => void : never) extends (x: infer I) => void ? I : never
type RequestVector<R extends Schema> = { readonly [K in keyof R]: ValueOf<R[K]> }
type Flat<T> = { [K in keyof T]: T[K] }

/** What a caller of the service gets, by full name: features, request fields, derived fields. */
export type FeatureVector<S> = S extends ServiceDefinition<infer V> ? V : never

export function entity<const C extends Schema>(name: string, columns: C): EntityDefinition<C> {
  return Object.freeze({ [DEFINITION]: 'entity' as const, name, columns })
}

export interface StreamOptions<S extends Schema> {
  /** Default: the stream's name. */
  readonly topic?: string
  readonly schema: S
  readonly eventTime: Extract<keyof S, string>
}

export function stream<const S extends Schema>(name: string, options: StreamOptions<S>): SourceDefinition<S> {
  const { topic = name, schema, eventTime } = options
  return Object.freeze({
    [DEFINITION]: 'source' as const,
    kind: 'stream' as const,
    name,
    topic,
    schema,
    eventTime,
    arrival: null,
    schedule: null,
  })
}

export interface TableOptions<S extends Schema> {
  readonly schema: S
  readonly eventTime: Extract<keyof S, string>
  /** Column that says when each fact could be known. */
  readonly arrival?: Extract<keyof S, string>
  /** Cron expression. */
  readonly schedule?: string
}

export function table<const S extends Schema>(name: string, options: TableOptions<S>): SourceDefinition<S> {
  const { schema, eventTime, arrival = null, schedule = null } = options
  return Object.freeze({
    [DEFINITION]: 'source' as const,
    kind: 'table' as const,
    name,
    topic: name,
    schema,
    eventTime,
    arrival,
    schedule,
  })
}

export function featureView<const N extends string, S extends Schema, const F extends Features>(
  name: N,
  options: ViewOptions<S, F>,
): ViewDefinition<N, S, F> {
  const names = Object.keys(options.features) as Extract<keyof F, string>[]
  const view: ViewDefinition<N, S, F> = Object.freeze({
    [DEFINITION]: 'view' as const,
    name,
    options,
    all: () => ({ view, names }),
    pick: <const K extends readonly Extract<keyof F, string>[]>(...picked: K) => ({ view, names: picked }),
  })
  return view
}

export interface ServiceOptions<L extends readonly unknown[], R extends Schema, D> {
  readonly features: L
  /** Fields that the caller sends with each row. */
  readonly request?: R
  /** Pure functions of the vector so far; their values are appended in order. */
  readonly derive?: {
    readonly [K in keyof D]: (vector: Flat<Intersect<SelectionVector<L[number]>> & RequestVector<R>>) => D[K]
  }
  readonly owner?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly description?: string
}

export function featureService<
  const L extends readonly { readonly names: readonly string[] }[],
  const R extends Schema = Record<never, never>,
  D = Record<never, never>,
>(
  name: string,
  options: ServiceOptions<L, R, D>,
): ServiceDefinition<
  Flat<Intersect<SelectionVector<L[number]>> & RequestVector<R> & { readonly [K in keyof D]: D[K] | null }>
> {
  const { features, request = {}, derive = {}, owner = null, tags = {}, description = null } = options
  return Object.freeze({
    [DEFINITION]: 'service' as const,
    name,
    features: features as unknown as readonly Selection[],
    request,
    derive: derive as unknown as Readonly<Record<string, (vector: never) => unknown>>,
    owner,
    tags,
    description,
  })
}

export interface ProjectConfig {
  readonly log?: string
  readonly online?: string
  readonly metadata?: string
  readonly objects?: string
  readonly port?: number
  readonly buckets?: number
  readonly partitions?: number
  /** Simulated clock (embedded stores only): starts at `from` and runs `rate` times as fast as real time. */
  readonly clock?: { readonly from: string; readonly rate: number }
}

export function defineConfig(config: ProjectConfig): ProjectConfig {
  return Object.freeze({ ...config })
}
