/** What the bytes of a stream's records are; made by `json`, `jsonSchema`, `avro` and `protobuf`. Like all of a definition it is checked by `plan` and `apply`. */
export interface Format<K extends string = string> {
  readonly format: K
  readonly options: unknown
}

function format<K extends string>(kind: K, options: unknown): Format<K> {
  return Object.freeze({ format: kind, options })
}

/** JSON objects, one or more lines of them in a record: what a stream has unless it says otherwise. */
export function json(): Format<'json'> {
  return format('json', undefined)
}

/**
 * One JSON object a record, behind the id of a schema registry (Confluent's JSON Schema serializer). The columns of the definition decide what is taken in, the registered
 * schema is not asked for.
 */
export function jsonSchema(): Format<'jsonSchema'> {
  return format('jsonSchema', undefined)
}

export interface AvroOptions {
  /** Under which the schema is registered, as in 'payments-value': for who reads the catalogue. Records are read by the id that they carry, whatever their subject. */
  readonly subject?: string
  /**
   * An Avro schema (a record), as an object or JSON text. Of records without a frame the schema that they were written with. Of framed ones the reader's schema, for its aliases and
   * defaults; without it a column is read from the writer's field of its name, and is null where the writer has none.
   */
  readonly schema?: string | object
  /** 'registry': an id (byte 0) or a GUID (byte 1) of a schema registry stands before the bytes. Default: 'none' where a schema is given and no subject. */
  readonly framing?: 'registry' | 'none'
}

/** Avro binary, one record of a topic an event. Columns come from the fields of their names; the settings of the registry are `TIDEMARK_SCHEMA_REGISTRY`. */
export function avro(options?: AvroOptions): Format<'avro'> {
  return format('avro', options)
}

export interface ProtobufOptions {
  /** Under which the schema is registered, as in 'payments-value': for who reads the catalogue. Records are read by the id that they carry, whatever their subject. */
  readonly subject?: string
  /** The text of a .proto file: of records without a frame. It may import Google's own files, no others. */
  readonly schema?: string
  /** The events' message by its full name, as in 'shop.Payment'. Records without a frame need it; of framed ones those of other messages are refused. */
  readonly message?: string
  /** 'registry': an id (byte 0) or a GUID (byte 1) of a schema registry stands before the bytes, then the place of the message in its file. Default: 'none' where a schema is given. */
  readonly framing?: 'registry' | 'none'
}

/**
 * Protobuf binary, one message a record. Columns come from the fields of their names, as the .proto file writes them; a field whose presence the format does not tell (proto3
 * without `optional`) is the zero of its type where it is absent, any other null.
 */
export function protobuf(options?: ProtobufOptions): Format<'protobuf'> {
  return format('protobuf', options)
}
