/** How a record says which schema its bytes were written with. `registry`: an id or GUID of a schema registry before them; `none`: by nothing, the definition has it. */
export type Framing = 'none' | 'registry'

/** JSON text, in records of one or more lines; `jsonSchema`: one event behind an id of a schema registry. */
export type JsonFormatPlan = { readonly kind: 'json' } | { readonly kind: 'jsonSchema' }

export interface AvroFormatPlan {
  readonly kind: 'avro'
  readonly framing: Framing
  /** Under which writers register their schemas: records say which one they have. null: not said. */
  readonly subject: string | null
  /** Canonical JSON. Of plain records the schema that they were written with; of framed ones the reader's: its names, aliases and defaults decide. */
  readonly schema: string | null
}

export interface ProtobufFormatPlan {
  readonly kind: 'protobuf'
  readonly framing: Framing
  /** Under which writers register their schemas: records say which one they have. null: not said. */
  readonly subject: string | null
  /** The text of a .proto file; null: of framed records, the registry has it. */
  readonly schema: string | null
  /** The full name of the events' message; null: the one that a record's frame names. */
  readonly message: string | null
}

/** What the bytes of a source's records are. Part of the plan, hence of the versions of the views that read it. */
export type FormatPlan = JsonFormatPlan | AvroFormatPlan | ProtobufFormatPlan
