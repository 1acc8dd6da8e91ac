import type { SourceDefinition } from '../features/authoring/definitions.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { FieldPlan } from '../features/plan/field-type.ts'
import type { AvroFormatPlan, FormatPlan, Framing, ProtobufFormatPlan } from '../features/plan/format-plan.ts'
import { parseAvroSchema } from '../stores/schemas/avro-schema.ts'
import { parseProtobufSchema } from '../stores/schemas/protobuf-schema.ts'
import type { Refuse } from './compile-source.ts'
import { describeValue, isRecord, unknownName } from './describe-value.ts'

const EXAMPLES = `json(), jsonSchema(), avro({ subject: 'payments-value' }) or protobuf({ subject: 'payments-value' })`

/** The format of a source's records, and whether its columns can be read from it. */
export function compileFormat(definition: SourceDefinition, fields: readonly FieldPlan[], refuse: Refuse): FormatPlan {
  const { format, kind, name } = definition
  if (format === null) return { kind: 'json' }
  if (!isRecord(format) || typeof format.format !== 'string')
    return refuse(
      'format',
      `format of ${kind} ${name} must be ${EXAMPLES}, found ${describeValue(format)}: is () missing?`,
    )
  const options: unknown = format.options ?? {}
  const problem = (text: string): never => refuse('format', `format of ${kind} ${name}: ${text}`)
  if (!isRecord(options)) return problem(`${format.format} takes an object of options, found ${describeValue(options)}`)
  switch (format.format) {
    case 'json':
    case 'jsonSchema':
      return { kind: format.format }
    case 'avro':
      return avroFormat(options, fields, problem)
    case 'protobuf':
      return protobufFormat(options, fields, problem)
    default:
      return problem(`expected ${EXAMPLES}`)
  }
}

const AVRO_OPTIONS = ['subject', 'schema', 'framing']

function avroFormat(
  options: Readonly<Record<string, unknown>>,
  fields: readonly FieldPlan[],
  problem: (text: string) => never,
): AvroFormatPlan {
  const unknown = unknownName(Object.keys(options), AVRO_OPTIONS, 'avro')
  if (unknown !== null) problem(unknown)
  const subject = subjectOf(options.subject, 'avro', problem)
  const schema = options.schema === undefined ? null : avroSchema(options.schema, fields, problem)
  const framing = framingOf(options.framing, { subject, schema }, problem)
  if (framing === 'none' && schema === null)
    problem(
      `records without a frame say nothing of their schema: give it, as in avro({ schema: { type: 'record', … }, framing: 'none' })`,
    )
  if (framing === 'none' && subject !== null)
    problem(
      'records without a frame have the schema of the definition, no subject is asked: leave out subject, or framing',
    )
  return { kind: 'avro', framing, subject, schema }
}

const PROTOBUF_OPTIONS = ['subject', 'schema', 'message', 'framing']

function protobufFormat(
  options: Readonly<Record<string, unknown>>,
  fields: readonly FieldPlan[],
  problem: (text: string) => never,
): ProtobufFormatPlan {
  const unknown = unknownName(Object.keys(options), PROTOBUF_OPTIONS, 'protobuf')
  if (unknown !== null) problem(unknown)
  const subject = subjectOf(options.subject, 'protobuf', problem)
  const { schema = null, message = null } = options
  if (schema !== null && typeof schema !== 'string')
    return problem(`schema of protobuf must be the text of a .proto file, found ${describeValue(schema)}`)
  if (message !== null && typeof message !== 'string')
    return problem(`message of protobuf must be a name like 'shop.Payment', found ${describeValue(message)}`)
  const framing = framingOf(options.framing, { subject, schema }, problem)
  if (framing === 'registry' && schema !== null)
    problem('framed records have the schema that the registry has: leave out schema, or framing')
  if (framing === 'none' && subject !== null)
    problem(
      'records without a frame have the schema of the definition, no subject is asked: leave out subject, or framing',
    )
  if (framing === 'none' && (schema === null || message === null))
    return problem(
      `records without a frame say nothing of their schema: give it, as in protobuf({ schema: 'syntax = "proto3"; …', message: 'shop.Payment' })`,
    )
  if (schema !== null && message !== null) checkMessage(schema, message, fields, problem)
  return { kind: 'protobuf', framing, subject, schema, message }
}

/** Every column must be in it: a misspelt one would else be null for ever. */
function checkMessage(
  schema: string,
  name: string,
  fields: readonly FieldPlan[],
  problem: (text: string) => never,
): void {
  try {
    const message = parseProtobufSchema(schema).named(name)
    if (message === null) return problem(`its schema has no message ${describeValue(name)}`)
    const missing = fields.find((field) => !message.fields.some((other) => other.name === field.name))
    if (missing === undefined) return
    const known = message.fields.map((field) => field.name).join(', ')
    problem(`message ${message.name} has no field ${missing.name}, which is a column: its fields are ${known}`)
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'TM_SCHEMA_INVALID') problem(error.message)
    throw error
  }
}

function subjectOf(subject: unknown, format: string, problem: (text: string) => never): string | null {
  if (subject === undefined) return null
  if (typeof subject === 'string' && subject !== '' && subject.isWellFormed()) return subject
  return problem(`subject of ${format} must be a text like 'payments-value', found ${describeValue(subject)}`)
}

function framingOf(
  framing: unknown,
  { subject, schema }: { readonly subject: string | null; readonly schema: string | null },
  problem: (text: string) => never,
): Framing {
  if (framing === undefined) return schema !== null && subject === null ? 'none' : 'registry'
  if (framing === 'registry' || framing === 'none') return framing
  return problem(`framing must be 'registry' or 'none', found ${describeValue(framing)}`)
}

/** Every column must be in it: a misspelt one would else be null for ever. */
function avroSchema(given: unknown, fields: readonly FieldPlan[], problem: (text: string) => never): string {
  try {
    const text = typeof given === 'string' ? given : JSON.stringify(given)
    const schema = parseAvroSchema(text ?? '')
    const missing = fields.find(({ name }) => !schema.fields.some((field) => field.name === name))
    if (missing !== undefined)
      problem(
        `its schema ${schema.name} has no field ${missing.name}, which is a column: its fields are ${schema.fields.map(({ name }) => name).join(', ')}`,
      )
    return canonicalJson(JSON.parse(text))
  } catch (error) {
    if (isTidemarkError(error) && error.code === 'TM_SCHEMA_INVALID') return problem(error.message)
    throw error
  }
}
