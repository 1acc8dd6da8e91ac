import type { FieldPlan, FieldType } from '../plan/field-type.ts'

declare const VALUE: unique symbol

/** A field's type. `K` is its kind, `V` the JavaScript value that functions see. */
export interface TypeNode<K extends FieldType['kind'] = FieldType['kind'], V = unknown> {
  readonly [VALUE]?: V
  readonly kind: K
  readonly plan: Omit<FieldPlan, 'name'>
  /** Null is allowed. Without it a null is a dead letter. */
  nullable(): TypeNode<K, V | null>
}

/** float32 and float64: what to do with NaN and ±Infinity. */
export interface FloatNode<K extends 'float32' | 'float64', V> extends TypeNode<K, V> {
  nullable(): FloatNode<K, V | null>
  /** NaN and ±Infinity become null (implies nullable). Without it they are dead letters. */
  nonFinite(to: 'null'): FloatNode<K, V | null>
}

export type Schema = Readonly<Record<string, TypeNode>>
export type ValueOf<N> = N extends TypeNode<FieldType['kind'], infer V> ? V : never

/** The event that `where` and input functions of a source see. */
export type EventOf<S> = S extends { readonly schema: infer F } ? { readonly [K in keyof F]: ValueOf<F[K]> } : never

function node<K extends FieldType['kind'], V>(
  type: FieldType & { kind: K },
  nullable: boolean = false,
): TypeNode<K, V> {
  return Object.freeze({
    kind: type.kind,
    plan: Object.freeze({ type, nullable, nonFinite: 'reject' as const }),
    nullable: () => node<K, V | null>(type, true),
  })
}

function float<K extends 'float32' | 'float64', V>(
  kind: K,
  nullable: boolean,
  nonFinite: 'reject' | 'null',
): FloatNode<K, V> {
  return Object.freeze({
    kind,
    plan: Object.freeze({ type: { kind } as FieldType, nullable, nonFinite }),
    nullable: () => float<K, V | null>(kind, true, nonFinite),
    nonFinite: () => float<K, V | null>(kind, true, 'null'),
  })
}

/** Field types. int64 is a bigint, timestamps are epoch milliseconds (UTC), vectors are Float32Array. */
export const t = Object.freeze({
  bool: () => node<'bool', boolean>({ kind: 'bool' }),
  int32: () => node<'int32', number>({ kind: 'int32' }),
  int64: () => node<'int64', bigint>({ kind: 'int64' }),
  float32: () => float<'float32', number>('float32', false, 'reject'),
  float64: () => float<'float64', number>('float64', false, 'reject'),
  string: () => node<'string', string>({ kind: 'string' }),
  bytes: () => node<'bytes', Uint8Array>({ kind: 'bytes' }),
  timestamp: () => node<'timestamp', number>({ kind: 'timestamp' }),
  enum: <const V extends readonly string[]>(...values: V) => node<'enum', V[number]>({ kind: 'enum', values }),
  vector: (length: number) => node<'vector', Float32Array>({ kind: 'vector', length }),
})
