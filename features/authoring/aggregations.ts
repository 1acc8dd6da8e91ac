import type { TypeNode } from './types.ts'

/** An aggregation as written: kind, input and parameters; a window where one was given. */
export interface FeatureSpec {
  readonly kind: string
  readonly input: string | ((event: never) => unknown) | null
  readonly inputType: TypeNode | null
  readonly params: Readonly<Record<string, unknown>>
  readonly window: { readonly length: string; readonly hop: string | null } | null
  readonly bucketBy: { readonly column: string; readonly limit: number } | null
  readonly default: unknown
}

/** A feature: `A` its aggregation, `C` its column ('' for none, unknown for a function), `V` its value ('column': as the column's). */
export interface FeatureNode<A extends string, C, V> {
  readonly spec: FeatureSpec
  readonly aggregation?: A
  readonly column?: C
  readonly value?: V
}

export type AnyFeature = FeatureNode<string, unknown, unknown>

export interface WindowedFeature<A extends string, C, V> extends FeatureNode<A, C, V> {
  /** One map entry per value of `column`; the `limit` smallest keys are kept. Default limit 100. */
  bucketBy(
    column: string,
    options?: { readonly limit?: number },
  ): WindowedFeature<A, C, ReadonlyMap<string | number | bigint | boolean, V>>
  /** Replaces null values; status DEFAULTED. */
  default(
    value: V extends 'column' ? string | number | boolean | bigint : V,
  ): FeatureNode<A, C, V> & { readonly hasDefault: true }
}

export interface Aggregation<A extends string, C, V> {
  /** `'500ms' '30s' '5m' '1h' '7d'` or `'lifetime'`; a multiple of its hop. */
  over(window: string, options?: { readonly hop?: string }): WindowedFeature<A, C, V>
}

/** An input function's event. Annotate with `EventOf<typeof source>` for checked access. */
// oxlint-disable-next-line typescript/no-explicit-any -- a chained call has no contextual type for the event; see docs/decisions
type LooseEvent = any
type Fn<R> = (event: LooseEvent) => R
type Numeric = number | bigint | null
interface FunctionOptions {
  /** Type of the function's results. Default: float64 (bool for any, all and countWhere). */
  readonly type?: TypeNode
}

function build<A extends string, C, V>(spec: FeatureSpec): WindowedFeature<A, C, V> {
  return Object.freeze({
    spec: Object.freeze(spec),
    bucketBy: (column: string, options: { readonly limit?: number } = {}) =>
      build<A, C, ReadonlyMap<string | number | bigint | boolean, V>>({
        ...spec,
        bucketBy: { column, limit: options.limit ?? 100 },
      }),
    default: (value: unknown) => ({ ...build<A, C, V>({ ...spec, default: value }), hasDefault: true as const }),
  })
}

function aggregation<A extends string, C, V>(
  kind: A,
  input: FeatureSpec['input'],
  params: FeatureSpec['params'] = {},
  inputType: TypeNode | null = null,
): Aggregation<A, C, V> {
  return Object.freeze({
    over: (length: string, options: { readonly hop?: string } = {}) =>
      build<A, C, V>({
        kind,
        input,
        inputType,
        params,
        window: { length, hop: options.hop ?? null },
        bucketBy: null,
        default: null,
      }),
  })
}

/** Events in the window; 0 for none. */
export const count = () => aggregation<'count', '', number>('count', null)
/** Events for which the function is true. */
export const countWhere = (predicate: Fn<boolean>) =>
  aggregation<'countWhere', unknown, number>('countWhere', predicate)

function overNumbers<A extends string, V>(kind: A) {
  return <const C extends string | Fn<Numeric>>(input: C) => aggregation<A, C, V>(kind, input as FeatureSpec['input'])
}

/** Exact, rounded once. Over integer columns an exact bigint. Null for an empty window. */
export const sum = overNumbers<'sum', 'column'>('sum')
/** round(round(Σx) / n). */
export const mean = overNumbers<'mean', number>('mean')
export const min = overNumbers<'min', 'column'>('min')
export const max = overNumbers<'max', 'column'>('max')
function ordered<A extends 'first' | 'last'>(kind: A) {
  return <const C extends string | Fn<unknown>>(input: C, options: FunctionOptions = {}) =>
    aggregation<A, C, 'column'>(kind, input as FeatureSpec['input'], {}, options.type ?? null)
}
/** Value of the first (last) event by (τ, position); nulls are skipped. */
export const first = ordered('first')
export const last = ordered('last')

/** The value in the entity's newest event by (τ, position), which may be null. No window. */
export function latest<const C extends string>(column: C): WindowedFeature<'latest', C, 'column'> {
  return build({
    kind: 'latest',
    input: column,
    inputType: null,
    params: {},
    window: null,
    bucketBy: null,
    default: null,
  })
}
