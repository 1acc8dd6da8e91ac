import { isUtf8 } from 'node:buffer'
import type { AvroFormatPlan, ProtobufFormatPlan } from '../../../features/plan/format-plan.ts'
import { invariant } from '../../../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../../../features/plan/source-plan.ts'
import { failStore } from '../../../stores/errors.ts'
import { parseAvroSchema } from '../../../stores/schemas/avro-schema.ts'
import { parseProtobufSchema } from '../../../stores/schemas/protobuf-schema.ts'
import { describeSchema } from '../../../stores/schemas/schema-registry.ts'
import type { RegisteredSchema, SchemaKey, SchemaRegistry } from '../../../stores/schemas/schema-registry.ts'
import { failStream } from '../../errors.ts'
import { LineDecoder } from '../decode-json.ts'
import type { FieldWriter } from '../field-writers.ts'
import { AvroReader } from './avro-reader.ts'
import { frameLength, FramedSchemas } from './framed-schemas.ts'
import { FramedMessages } from './framed-messages.ts'
import { ProtobufReader } from './protobuf-reader.ts'
import type { RecordReader } from './whole-record-decoder.ts'

/** The reader of a source's format into these columns. */
export function createRecordReader(
  source: SourcePlan,
  writers: readonly FieldWriter[],
  schemas: SchemaRegistry | null,
): RecordReader {
  const { format } = source
  switch (format.kind) {
    case 'json':
    case 'jsonSchema':
      return framedJson(source, writers)
    case 'avro':
      return format.framing === 'registry'
        ? framedAvro(source, format, writers, schemas)
        : plainAvro(source, format, writers)
    case 'protobuf':
      return format.framing === 'registry'
        ? framedProtobuf(source, format, writers, schemas)
        : plainProtobuf(source, format, writers)
  }
}

/** The registered schema is not asked for: the definition's columns say what is taken in. */
function framedJson(source: SourcePlan, writers: readonly FieldWriter[]): RecordReader {
  const lines = new LineDecoder(source, writers)
  return {
    prepare: async () => {},
    read: (record, row) => {
      const refusal = lines.decode(textOf(record.subarray(frameLength(record))), row)
      if (refusal !== null) throw failStream(refusal.code as 'TM_EVENT_NOT_JSON', refusal.reason)
      return true
    },
  }
}

function textOf(bytes: Buffer): string | Uint8Array {
  return isUtf8(bytes) ? bytes.toString('utf8') : bytes
}

function plainAvro(source: SourcePlan, format: AvroFormatPlan, writers: readonly FieldWriter[]): RecordReader {
  const schema = parseAvroSchema(format.schema ?? '')
  const reader = new AvroReader(source.fields, writers, schema, schema)
  return {
    prepare: async () => {},
    read: (record, row) => {
      reader.read(record, 0, row)
      return true
    },
  }
}

function framedAvro(
  source: SourcePlan,
  format: AvroFormatPlan,
  writers: readonly FieldWriter[],
  registry: SchemaRegistry | null,
): RecordReader {
  const readers = format.schema === null ? null : parseAvroSchema(format.schema)
  const schemas = new FramedSchemas(registry, (schema, key) => {
    checkType(schema, 'AVRO', key)
    const written = parseAvroSchema(
      schema.text,
      schema.references.map(({ text }) => text),
    )
    return new AvroReader(source.fields, writers, written, readers)
  })
  return {
    prepare: (records) => schemas.prepare(records),
    read: (record, row) => {
      schemas.of(record).read(record, frameLength(record), row)
      return true
    },
  }
}

function plainProtobuf(source: SourcePlan, format: ProtobufFormatPlan, writers: readonly FieldWriter[]): RecordReader {
  const message = parseProtobufSchema(format.schema ?? '').named(format.message ?? '')
  invariant(message !== null, `the schema of source ${source.name} has its message`)
  const reader = new ProtobufReader(source.fields, writers, message)
  return {
    prepare: async () => {},
    read: (record, row) => {
      reader.read(record, 0, row)
      return true
    },
  }
}

function framedProtobuf(
  source: SourcePlan,
  { message }: ProtobufFormatPlan,
  writers: readonly FieldWriter[],
  registry: SchemaRegistry | null,
): RecordReader {
  const schemas = new FramedSchemas(registry, (schema, key) => {
    checkType(schema, 'PROTOBUF', key)
    const file = parseProtobufSchema(
      schema.text,
      schema.references.map(({ text }) => text),
    )
    return new FramedMessages(file, (found) => new ProtobufReader(source.fields, writers, found), message)
  })
  return {
    prepare: (records) => schemas.prepare(records),
    read: (record, row) => {
      const { reader, from } = schemas.of(record).of(record, frameLength(record))
      reader.read(record, from, row)
      return true
    },
  }
}

function checkType({ type }: RegisteredSchema, expected: RegisteredSchema['type'], key: SchemaKey): void {
  if (type !== expected)
    throw failStore(
      'TM_SCHEMA_INVALID',
      `${describeSchema(key)} is of type ${type}, the source's format needs ${expected}: correct its format, or keep such events out of its topic`,
    )
}
