import { AGGREGATIONS } from './aggregations.ts'
import type { Aggregations } from './aggregations.ts'
import type { CheckedEntity, CheckedExpect, CheckedFeatures, CheckedNames, Features } from './checked-features.ts'
import { DEFINITION } from './definitions.ts'
import type { EntityDefinition, SourceDefinition } from './definitions.ts'
import type { AnyFeature } from './feature-node.ts'
import type { EventOf, Schema } from './types.ts'

/** Rules on a feature's value; a value that breaks one reads null, INVALID. Null keeps every rule but notNull. */
export interface Expectation {
  readonly notNull?: boolean
  /** Both bounds inclusive. Numbers, counts and timestamps. */
  readonly between?: readonly [number | bigint, number | bigint]
  readonly oneOf?: readonly (string | number | boolean | bigint)[]
  /** An ECMAScript regular expression (flag u) that the whole string must match. */
  readonly matches?: string
  /** Greatest share of nulls, 0–1; monitored, not decided per row. */
  readonly nullShare?: number
}

/** What the catalogue says of a definition. Changing it changes no value and makes no new version. */
export interface Described {
  readonly owner?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly description?: string
}

export interface ViewOptions<S extends Schema, F, C extends Schema, X, T extends string | undefined> extends Described {
  readonly entity: EntityDefinition<C> & CheckedEntity<S, C>
  readonly from: SourceDefinition<S>
  /** Pure. Only events for which it returns true count; a throw or another result is false, counted as a function error. */
  readonly where?: (event: EventOf<{ schema: S }>) => boolean
  /**
   * Aggregations by name; or a function of the aggregations, in which functions of the event are typed:
   * `features: (on) => ({ capped: on.mean((e) => Math.min(e.amount, 1000)).over('7d') })`.
   */
  readonly features:
    (F & CheckedFeatures<S, F>) | ((on: Aggregations<EventOf<{ schema: S }>>) => F & CheckedFeatures<S, F>)
  /** A duration: at t every feature of an entity whose newest event is older than t − ttl reads null (or its default), EXPIRED. */
  readonly ttl?: T
  /** A duration: how fresh values should be. Monitored, changes no value. */
  readonly freshness?: string
  readonly expect?: X & CheckedExpect<F, X>
}

/** Names of the features that expire or that a rule can make null. */
type Lapsing<F, X, T> = [T] extends [undefined] ? Ruled<X> : keyof F
type Ruled<X> = {
  [K in keyof X]: keyof X[K] & Exclude<keyof Expectation, 'nullShare'> extends never ? never : K
}[keyof X]

/** `Q`: names of the features that can be null because of the view's ttl or rules, counts too. */
export interface ViewDefinition<
  N extends string = string,
  S extends Schema = Schema,
  F extends Features = Readonly<Record<string, AnyFeature>>,
  Q = unknown,
> {
  readonly [DEFINITION]: 'view'
  readonly name: N
  readonly options: Described & {
    readonly entity: EntityDefinition
    readonly from: SourceDefinition<S>
    readonly where?: (event: never) => boolean
    readonly features: F
    readonly ttl?: string
    readonly freshness?: string
    readonly expect?: Readonly<Record<string, Expectation>>
  }
  /** All features, in the order of the definition. */
  all(): Selection<N, S, F, Extract<keyof F, string>, Q>
  /** Some features, in the given order. */
  pick<const K extends readonly (Extract<keyof F, string> | (string & {}))[]>(
    ...names: K & CheckedNames<N, F, K>
  ): Selection<N, S, F, Extract<K[number], keyof F>, Q>
}

export interface Selection<
  N extends string = string,
  S extends Schema = Schema,
  F extends Features = Readonly<Record<string, AnyFeature>>,
  K = string,
  Q = unknown,
> {
  readonly view: ViewDefinition<N, S, F, Q>
  readonly names: readonly K[]
}

/** An entity's features, computed from one source. Its version is a hash of everything that decides a value, the functions' code included. */
export function featureView<
  const N extends string,
  S extends Schema,
  const F extends Features,
  C extends Schema,
  const X extends Readonly<Record<string, Expectation>> = Record<never, never>,
  const T extends string | undefined = undefined,
>(name: N, options: ViewOptions<S, F, C, X, T>): ViewDefinition<N, S, F, Lapsing<F, X, T>> {
  const features = featuresOf<F>(options?.features)
  const names = Object.keys(features ?? {}) as Extract<keyof F, string>[]
  const view: ViewDefinition<N, S, F, Lapsing<F, X, T>> = Object.freeze({
    [DEFINITION]: 'view' as const,
    name,
    options: { ...options, features },
    all: () => ({ view, names }),
    pick: (...picked: readonly string[]) => ({ view, names: picked as never }),
  })
  return view
}

function featuresOf<F>(features: unknown): F {
  return (typeof features === 'function' ? features(AGGREGATIONS) : features) as F
}
