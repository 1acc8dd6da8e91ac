/** A schema as a schema registry has it. */
export interface RegisteredSchema {
  readonly type: 'AVRO' | 'PROTOBUF' | 'JSON'
  readonly text: string
  /** Schemas that it refers to, each once, before those that refer to it, under the names by which they do. */
  readonly references: readonly { readonly name: string; readonly text: string }[]
}

/** What a record names its schema by. */
export type SchemaKey = `ids/${number}` | `guids/${string}`

/** Schemas that records name. A schema of an id never changes: each is asked for once, however many ask at the same time. */
export interface SchemaRegistry {
  /** null: the registry does not have it. TM_SCHEMA_REGISTRY_UNAVAILABLE. */
  schema(key: SchemaKey): Promise<RegisteredSchema | null>
}

/** `id 7`, `GUID 9c2f…`. */
export function describeSchema(key: SchemaKey): string {
  const [kind, value] = key.split('/')
  return kind === 'ids' ? `schema id ${value}` : `schema GUID ${value}`
}
