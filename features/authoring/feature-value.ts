import type { FeatureNode } from './feature-node.ts'
import type { FloatNode, Schema, TypeNode, ValueOf } from './types.ts'

type BoolKinds = 'countWhere' | 'any' | 'all'
export type CountKinds = 'count' | 'countWhere' | 'distinctCount' | 'approxDistinctCount'

/** The field that an aggregation reads: a column's, or the declared (else the default) type of a function's results. */
export type InputField<S extends Schema, A, I, N> = I extends ''
  ? never
  : I extends string
    ? I extends keyof S
      ? S[I]
      : never
    : N extends TypeNode
      ? N
      : A extends BoolKinds
        ? TypeNode<'bool', boolean>
        : FloatNode<'float64', number>

type Scalar<T> = NonNullable<ValueOf<T>>
type KindOf<T> = T extends TypeNode<infer K> ? K : never

/** A value of aggregation `A` over field `T`, without its nulls and without `bucketBy`. */
type PlainValue<A, T> = A extends CountKinds
  ? number
  : A extends 'sum'
    ? KindOf<T> extends 'int32' | 'int64'
      ? bigint
      : number
    : A extends 'min' | 'max' | 'first' | 'last' | 'latest'
      ? Scalar<T>
      : A extends 'firstN' | 'lastN' | 'topN' | 'bottomN'
        ? readonly Scalar<T>[]
        : A extends 'any' | 'all'
          ? boolean
          : A extends 'histogram'
            ? readonly number[]
            : A extends 'valueCounts'
              ? ReadonlyMap<Scalar<T>, number>
              : A extends 'vectorSum' | 'vectorMean'
                ? Float32Array
                : number

/** A feature's value where it is not null. */
export type PresentValue<S extends Schema, F> =
  F extends FeatureNode<infer A, infer I, infer N, infer B, unknown>
    ? B extends ''
      ? PlainValue<A, InputField<S, A, I, N>>
      : B extends keyof S
        ? ReadonlyMap<Scalar<S[B]>, PlainValue<A, InputField<S, A, I, N>> | (A extends CountKinds ? never : null)>
        : never
    : never

/** Counts that are 0 where there is nothing to count, and have no other way to be null than expiry and rules. */
type ZeroKinds = 'count' | 'countWhere' | 'approxDistinctCount'

/**
 * What a vector holds: null unless the feature has a default, or is a count (not a map of counts) that neither expires with its view's ttl nor can break
 * a rule: `Strict` says that.
 */
export type FeatureValue<S extends Schema, F, Strict extends boolean> =
  F extends FeatureNode<infer A, infer _I, infer _N, infer B, infer D>
    ? | PresentValue<S, F>
      | (D extends undefined
          ? A extends ZeroKinds
            ? B extends ''
              ? Strict extends true
                ? never
                : null
              : null
            : null
          : never)
    : never
