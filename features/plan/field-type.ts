/** The type of one field of an event, an entity key or a request. JSON-clean: plans are stored and hashed. */
export type FieldType =
  | { readonly kind: 'bool' }
  | { readonly kind: 'int32' }
  | { readonly kind: 'int64' }
  | { readonly kind: 'float32' }
  | { readonly kind: 'float64' }
  | { readonly kind: 'string' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'timestamp' }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'vector'; readonly length: number }

/**
 * The type of a feature's value. JavaScript values by kind:
 * bool → boolean · int32, float32, float64, timestamp (epoch ms, UTC) → number · int64 → bigint · string, enum → string ·
 * bytes → Uint8Array · vector → Float32Array · count → number (a non-negative safe integer; BIGINT in Parquet) ·
 * list → array · map → Map in canonical key order.
 */
export type ValueType =
  | FieldType
  | { readonly kind: 'count' }
  | { readonly kind: 'list'; readonly of: ValueType }
  | { readonly kind: 'map'; readonly key: FieldType; readonly value: ValueType }

/** A named, typed field. Required unless `nullable`. `nonFinite: 'null'` turns NaN and ±Infinity into null instead of a dead letter. */
export interface FieldPlan {
  readonly name: string
  readonly type: FieldType
  readonly nullable: boolean
  readonly nonFinite: 'reject' | 'null'
}

export type Value =
  null | boolean | number | bigint | string | Uint8Array | Float32Array | readonly Value[] | ReadonlyMap<Value, Value>
