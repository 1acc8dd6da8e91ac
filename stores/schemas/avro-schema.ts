import { failStore } from '../errors.ts'

export type AvroPrimitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'

/** A type of an Avro schema (https://avro.apache.org/docs/1.12.0/specification/). Records may hold themselves. */
export type AvroType =
  | { readonly kind: AvroPrimitive; readonly logical: string | null }
  | { readonly kind: 'fixed'; readonly size: number; readonly logical: string | null }
  | { readonly kind: 'enum'; readonly symbols: readonly string[]; readonly default: string | null }
  | { readonly kind: 'array'; readonly items: AvroType }
  | { readonly kind: 'map'; readonly values: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord

export interface AvroRecord {
  readonly kind: 'record'
  readonly name: string
  readonly fields: readonly AvroField[]
}

export interface AvroField {
  readonly name: string
  readonly aliases: readonly string[]
  readonly type: AvroType
  /** As JSON, see the specification; undefined: none. */
  readonly default: unknown
}

type Json = Readonly<Record<string, unknown>>

const PRIMITIVES: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])
const NAME = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$/
const FIXED_BYTES_MAX = 16 << 20
/** A schema written deeper than this is refused: it is read by recursion. */
const NESTING_MAX = 200

/** The schema of an event, a record, from its JSON text; `references`: schemas whose types it names. TM_SCHEMA_INVALID. */
export function parseAvroSchema(text: string, references: readonly string[] = []): AvroRecord {
  const names = new Map<string, AvroType>()
  for (const reference of references) new SchemaParser(names).parse(parseJson(reference), '', 0)
  const type = new SchemaParser(names).parse(parseJson(text), '', 0)
  if (type.kind !== 'record') throw invalid(`an event is an Avro record, the schema is of a value of type ${type.kind}`)
  return type
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // A registry gives a lone name without quotes as it is.
    return text
  }
}

function invalid(problem: string): Error {
  return failStore('TM_SCHEMA_INVALID', `the Avro schema cannot be used: ${problem}`)
}

class SchemaParser {
  readonly #names: Map<string, AvroType>

  constructor(names: Map<string, AvroType>) {
    this.#names = names
  }

  parse(schema: unknown, namespace: string, depth: number): AvroType {
    if (depth > NESTING_MAX) throw invalid(`it is nested deeper than ${NESTING_MAX}`)
    if (typeof schema === 'string') return this.#named(schema, namespace)
    if (Array.isArray(schema)) return this.#union(schema, namespace, depth)
    if (typeof schema !== 'object' || schema === null)
      throw invalid(`found ${JSON.stringify(schema)} where a type stands`)
    const node = schema as Json
    const { type } = node
    switch (type) {
      case 'record':
      case 'error':
        return this.#record(node, namespace, depth)
      case 'enum':
        return this.#enum(node, namespace)
      case 'fixed':
        return this.#fixed(node, namespace)
      case 'array':
        return { kind: 'array', items: this.parse(node.items, namespace, depth + 1) }
      case 'map':
        return { kind: 'map', values: this.parse(node.values, namespace, depth + 1) }
    }
    if (typeof type === 'string' && PRIMITIVES.has(type))
      return { kind: type as AvroPrimitive, logical: logicalOf(node) }
    return this.parse(type, namespace, depth + 1)
  }

  #named(name: string, namespace: string): AvroType {
    if (PRIMITIVES.has(name)) return { kind: name as AvroPrimitive, logical: null }
    const found = this.#names.get(name.includes('.') || namespace === '' ? name : `${namespace}.${name}`)
    if (found === undefined) throw invalid(`it names the type ${name.slice(0, 100)}, which it does not define`)
    return found
  }

  #union(schema: readonly unknown[], namespace: string, depth: number): AvroType {
    const branches = schema.map((branch) => this.parse(branch, namespace, depth + 1))
    if (branches.some(({ kind }) => kind === 'union')) throw invalid('a union stands immediately within a union')
    return { kind: 'union', branches }
  }

  /** Its full name, and the namespace of what stands in it; the type gets the name at once, for those within that refer to it. */
  #define(node: Json, namespace: string, type: AvroType): { name: string; inner: string } {
    const { name } = node
    if (typeof name !== 'string' || !NAME.test(name)) throw invalid(`${JSON.stringify(name)} is no name of a type`)
    const own = typeof node.namespace === 'string' ? node.namespace : namespace
    const full = name.includes('.') || own === '' ? name : `${own}.${name}`
    if (this.#names.has(full)) throw invalid(`it defines ${full} twice`)
    this.#names.set(full, type)
    return { name: full, inner: full.slice(0, Math.max(0, full.lastIndexOf('.'))) }
  }

  #record(node: Json, namespace: string, depth: number): AvroType {
    const record = { kind: 'record' as const, name: '', fields: [] as AvroField[] }
    const { name, inner } = this.#define(node, namespace, record)
    record.name = name
    if (!Array.isArray(node.fields)) throw invalid(`record ${name} has no fields`)
    for (const field of node.fields as readonly unknown[]) {
      if (typeof field !== 'object' || field === null) throw invalid(`record ${name} has a field that is no object`)
      const { name: fieldName, type, aliases, default: byDefault } = field as Json
      if (typeof fieldName !== 'string') throw invalid(`a field of record ${name} has no name`)
      if (record.fields.some((other) => other.name === fieldName))
        throw invalid(`record ${name} has the field ${fieldName} twice`)
      record.fields.push({
        name: fieldName,
        aliases: Array.isArray(aliases) ? aliases.filter((alias): alias is string => typeof alias === 'string') : [],
        type: this.#withConnectName(this.parse(type, inner, depth + 1), type),
        default: byDefault,
      })
    }
    return record
  }

  /** Kafka Connect names the meaning of a number beside its type: of a union, within a branch. */
  #withConnectName(type: AvroType, node: unknown): AvroType {
    const name = typeof node === 'object' && node !== null ? (node as Json)['connect.name'] : undefined
    return typeof name === 'string' && 'logical' in type && type.logical === null ? { ...type, logical: name } : type
  }

  #enum(node: Json, namespace: string): AvroType {
    const { symbols } = node
    if (!Array.isArray(symbols) || symbols.length === 0 || symbols.some((symbol) => typeof symbol !== 'string'))
      throw invalid(`enum ${JSON.stringify(node.name)} has no symbols`)
    const byDefault = typeof node.default === 'string' ? node.default : null
    const type: AvroType = { kind: 'enum', symbols: symbols as string[], default: byDefault }
    this.#define(node, namespace, type)
    return type
  }

  #fixed(node: Json, namespace: string): AvroType {
    const size = Number(node.size)
    if (!Number.isInteger(size) || size < 0 || size > FIXED_BYTES_MAX)
      throw invalid(`fixed ${JSON.stringify(node.name)} has the size ${JSON.stringify(node.size)}`)
    const type: AvroType = { kind: 'fixed', size, logical: logicalOf(node) }
    this.#define(node, namespace, type)
    return type
  }
}

function logicalOf({ logicalType, 'connect.name': connectName }: Json): string | null {
  if (typeof logicalType === 'string') return logicalType
  return typeof connectName === 'string' ? connectName : null
}

const weightless = new WeakMap<AvroType, boolean>()

/** Whether values of the type take no bytes: so many of them could be told in a few. */
export function isWeightless(type: AvroType): boolean {
  const known = weightless.get(type)
  if (known !== undefined) return known
  // A record within itself is none of no bytes.
  weightless.set(type, false)
  const found =
    type.kind === 'null' ||
    (type.kind === 'fixed' && type.size === 0) ||
    (type.kind === 'record' && type.fields.every((field) => isWeightless(field.type)))
  weightless.set(type, found)
  return found
}
