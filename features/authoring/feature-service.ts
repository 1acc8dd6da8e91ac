import { DEFINITION } from './definitions.ts'
import type { FeatureValue } from './feature-value.ts'
import type { Described, Selection } from './feature-view.ts'
import type { Schema, TypeNode, ValueOf } from './types.ts'

/** A derived field as written: a function that returns a number or null (float64), or a function with the type of its results. */
export type DerivedField =
  ((vector: never) => unknown) | { readonly type: TypeNode; readonly value: (vector: never) => unknown }

export interface ServiceDefinition<V = unknown> {
  readonly [DEFINITION]: 'service'
  readonly name: string
  readonly features: readonly Selection[]
  readonly request: Schema
  readonly derive: Readonly<Record<string, DerivedField>>
  readonly owner: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly description: string | null
  /** Names of the options as given, so that a misspelt one is told. */
  readonly given: readonly string[]
  readonly vector?: V
}

type SelectionVector<L> =
  L extends Selection<infer N, infer S, infer F, infer K, infer Q>
    ? { readonly [P in K & keyof F as `${N}__${P & string}`]: FeatureValue<S, F[P], P extends Q ? false : true> }
    : never
type Intersect<U> = (U extends unknown ? (x: U) => void : never) extends (x: infer I) => void ? I : never
type RequestVector<R extends Schema> = { readonly [K in keyof R]: ValueOf<R[K]> }
type Flat<T> = { [K in keyof T]: T[K] }
/**
 * What derived functions see: features by full name, request fields, derived fields above (`plan` refuses those below). The types of their siblings cannot
 * be inferred before their own (docs/decisions/0010): they are read as float64, the default.
 */
type DerivedInput<L extends readonly unknown[], R extends Schema, N, K> = Flat<
  Intersect<SelectionVector<L[number]>> & RequestVector<R> & { readonly [P in Exclude<N, K> & string]: number | null }
>
type DerivedValue<T> = T extends TypeNode ? NonNullable<ValueOf<T>> : number
/** A sentence as a property: as a text it would cancel out with the text that a function returns. */
type DerivedReturn<T> = [T] extends [number | null]
  ? unknown
  : {
      readonly 'A derived function returns a number or null. Another type is declared: { type: t.string(), value: (f) => ... }.': never
    }

/** What a caller of the service gets, by full name: features, request fields, derived fields. */
export type FeatureVector<S> = S extends ServiceDefinition<infer V> ? V : never

export interface ServiceOptions<L extends readonly unknown[], R extends Schema, D, N extends string> extends Described {
  /** Selections of views, in the order of the vector. */
  readonly features: L
  /** Fields that the caller sends with each row. */
  readonly request?: R
  /**
   * Pure functions of the vector so far, appended in order: a function that returns a number or null, or `{ type, value }` for another type. A throw, a
   * wrong type or a non-finite result is null, INVALID.
   */
  readonly derive?: Readonly<Record<N, unknown>> & {
    readonly [K in keyof D]:
      | ((vector: DerivedInput<L, R, N, K>) => D[K] & DerivedReturn<D[K]>)
      | {
          readonly type: D[K] & TypeNode
          readonly value: (vector: DerivedInput<L, R, N, K>) => ValueOf<D[K]> | null
        }
  }
}

/** Features of several views, request fields and derived fields: the layout of a vector. Models are locked to a version of it. */
export function featureService<
  const L extends readonly { readonly names: readonly unknown[] }[],
  const R extends Schema = Record<never, never>,
  D = Record<never, never>,
  N extends string = never,
>(
  name: string,
  options: ServiceOptions<L, R, D, N>,
): ServiceDefinition<
  Flat<
    Intersect<SelectionVector<L[number]>> & RequestVector<R> & { readonly [K in keyof D]: DerivedValue<D[K]> | null }
  >
> {
  const { features, request = {}, derive = {}, owner = null, tags = {}, description = null } = options ?? {}
  return Object.freeze({
    [DEFINITION]: 'service' as const,
    name,
    features: features as unknown as readonly Selection[],
    request,
    derive: derive as ServiceDefinition['derive'],
    owner,
    tags,
    description,
    given: Object.keys(options ?? {}),
  })
}
