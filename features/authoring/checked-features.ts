import type { AggregationKind } from '../plan/view-plan.ts'
import type { FeatureNode } from './feature-node.ts'
import type { InputField, PresentValue } from './feature-value.ts'
import type { EventOf, Schema, TypeNode, ValueOf } from './types.ts'

/** Each feature that the source cannot give is replaced by a sentence that says why: the compiler prints it. */
export type CheckedFeatures<S extends Schema, F> = { readonly [K in keyof F]: CheckedFeature<S, F[K]> }

type CheckedFeature<S extends Schema, F> =
  F extends FeatureNode<infer A, infer I, infer N, infer B, infer D>
    ? FirstProblem<[InputProblem<S, A, I, N>, BucketProblem<S, B>, DefaultProblem<S, F, D>], F>
    : `A feature is an aggregation over a window, as in count().over('1h'): is .over(…) missing?`

type FirstProblem<P extends readonly unknown[], Ok> = P extends readonly [infer Head, ...infer Rest]
  ? [Head] extends [never]
    ? FirstProblem<Rest, Ok>
    : Head
  : Ok

type Columns<S extends Schema> = Extract<keyof S, string>
type Overloads<U> = (U extends unknown ? (x: () => U) => void : never) extends (x: infer I) => void ? I : never
type LastOf<U> = Overloads<U> extends () => infer L ? L : never
/** A union of names as one text: a union inside a sentence would be as many sentences. */
type Listed<U> = [U] extends [never]
  ? ''
  : LastOf<U> extends infer L extends string
    ? [Exclude<U, L>] extends [never]
      ? L
      : `${Listed<Exclude<U, L>>}, ${L}`
    : never
type Numbers = 'int32' | 'int64' | 'float32' | 'float64'
type Keys = Exclude<TypeNode['kind'], 'vector'>
type Number = 'a number'

/** What each aggregation reads, and how a sentence calls it. Kinds that are not listed read every type. */
interface Reads {
  countWhere: ['bool', 'a bool']
  any: ['bool', 'a bool']
  all: ['bool', 'a bool']
  sum: [Numbers, Number]
  mean: [Numbers, Number]
  variance: [Numbers, Number]
  stddev: [Numbers, Number]
  skewness: [Numbers, Number]
  kurtosis: [Numbers, Number]
  quantile: [Numbers, Number]
  histogram: [Numbers, Number]
  decayedSum: [Numbers, Number]
  min: [Numbers | 'timestamp', 'a number or a timestamp']
  max: [Numbers | 'timestamp', 'a number or a timestamp']
  vectorSum: ['vector', 'a vector']
  vectorMean: ['vector', 'a vector']
  topN: [Keys, 'a scalar']
  bottomN: [Keys, 'a scalar']
  distinctCount: [Keys, 'a scalar']
  approxDistinctCount: [Keys, 'a scalar']
  valueCounts: [Keys, 'a scalar']
}

type InputProblem<S extends Schema, A extends AggregationKind, I, N> = I extends ''
  ? never
  : I extends string
    ? I extends Columns<S>
      ? KindProblem<A, S[I]['kind'], `column '${I}'`>
      : `The source has no column '${I}'; its columns are: ${Listed<Columns<S>>}.`
    : I extends (event: infer E) => infer R
      ? [EventOf<{ schema: S }>] extends [E]
        ? FunctionProblem<A, InputField<S, A, I, N>, R>
        : `The function of ${A} takes another event than the source has.`
      : never

type KindProblem<A extends AggregationKind, K extends string, What extends string> = A extends keyof Reads
  ? K extends Reads[A][0]
    ? never
    : `${A} needs ${Reads[A][1]}, but ${What} is of type ${K}.`
  : never

type FunctionProblem<A extends AggregationKind, T, R> =
  T extends TypeNode<infer K, infer V>
    ? [KindProblem<A, K, 'the function'>] extends [never]
      ? [R] extends [V | null]
        ? never
        : `The function of ${A} must return what ${K} holds, or null; for another type say { type: t.… }.`
      : KindProblem<A, K, 'the function'>
    : never

type BucketProblem<S extends Schema, B extends string> = B extends ''
  ? never
  : B extends Columns<S>
    ? S[B]['kind'] extends 'vector'
      ? `bucketBy needs a scalar column, but '${B}' is a vector.`
      : never
    : `bucketBy names the column '${B}', which the source does not have; its columns are: ${Listed<Columns<S>>}.`

type DefaultProblem<S extends Schema, F, D> = D extends undefined
  ? never
  : [D] extends [DefaultOf<PresentValue<S, F>>]
    ? never
    : 'The default must be of the type of the feature.'
type DefaultOf<V> = V extends Float32Array ? V | readonly number[] : V

/** The entity, or a sentence where the source lacks one of its columns or has it with another type. */
export type CheckedEntity<S extends Schema, C extends Schema> = [EntityProblem<S, C>] extends [never]
  ? unknown
  : EntityProblem<S, C>
type EntityProblem<S extends Schema, C extends Schema> = {
  [K in Extract<keyof C, string>]: K extends keyof S
    ? [S[K]['kind'], NonNullable<ValueOf<S[K]>>] extends [C[K]['kind'], NonNullable<ValueOf<C[K]>>]
      ? never
      : `The entity is keyed by '${K}' of type ${C[K]['kind']}, but in the source it is ${S[K]['kind']}.`
    : `The entity is keyed by '${K}', which the source does not have; its columns are: ${Listed<Columns<S>>}.`
}[Extract<keyof C, string>]

/** Rules by feature; a rule for a name that is no feature is a sentence. */
export type CheckedExpect<F, X> = {
  readonly [K in keyof X]: K extends keyof F
    ? unknown
    : `expect names '${Extract<K, string>}', which is no feature of the view; its features are: ${Listed<keyof F>}.`
}

/** Names of features, or sentences. */
export type CheckedNames<N extends string, F, K extends readonly string[]> = {
  readonly [I in keyof K]: K[I] extends keyof F
    ? K[I]
    : `View '${N}' has no feature '${K[I]}'; its features are: ${Listed<keyof F>}.`
}

/** Anything by name: what is no feature is told so by a sentence. */
export type Features = Readonly<Record<string, unknown>>
