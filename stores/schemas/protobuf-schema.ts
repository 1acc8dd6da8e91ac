import { createRequire } from 'node:module'
import type { Field, Namespace, ReflectionObject, Type } from 'protobufjs'
import { failStore } from '../errors.ts'

export type ProtobufScalar =
  | 'double'
  | 'float'
  | 'int32'
  | 'int64'
  | 'uint32'
  | 'uint64'
  | 'sint32'
  | 'sint64'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed32'
  | 'sfixed64'
  | 'bool'
  | 'string'
  | 'bytes'

/** What a field holds: `timestamp` and `wrapper` are Google's messages of these names, `message` any other, maps too. */
export type ProtobufKind =
  | { readonly kind: 'scalar'; readonly scalar: ProtobufScalar }
  | { readonly kind: 'enum'; readonly names: ReadonlyMap<number, string> }
  | { readonly kind: 'timestamp' }
  | { readonly kind: 'wrapper'; readonly scalar: ProtobufScalar }
  | { readonly kind: 'message' }

export interface ProtobufField {
  readonly name: string
  readonly number: number
  readonly kind: ProtobufKind
  readonly repeated: boolean
  /** Of the fields of one `oneof` the last in the bytes counts. */
  readonly oneof: string | null
  /** What an absent field is: the zero of its type where its presence is not told; undefined: it is absent. */
  readonly absent: unknown
}

export interface ProtobufMessage {
  readonly name: string
  readonly fields: readonly ProtobufField[]
}

export interface ProtobufFile {
  /** By the place of a message among those of the file, then of that message …; null: there is none. */
  message(path: readonly number[]): ProtobufMessage | null
  /** By its full name, or its name without the package. */
  named(name: string): ProtobufMessage | null
}

const WRAPPER = /^\.google\.protobuf\.(Double|Float|Int64|UInt64|Int32|UInt32|Bool|String|Bytes)Value$/
const KNOWN_IMPORTS = /^google\/protobuf\//

/** Loaded where a schema is read: it takes some 50 ms. */
let library: typeof import('protobufjs') | null = null
function protobufjs(): typeof import('protobufjs') {
  return (library ??= createRequire(import.meta.url)('protobufjs') as typeof import('protobufjs'))
}

/** A .proto file by its text; `references`: files that it imports. TM_SCHEMA_INVALID. */
export function parseProtobufSchema(text: string, references: readonly string[] = []): ProtobufFile {
  const { parse, Root, common } = protobufjs()
  try {
    const own = parse(text, new Root(), { keepCase: true })
    const root = new Root()
    const imports = new Set<string>()
    for (const file of [...references, text]) {
      const parsed = parse(file, root, { keepCase: true })
      for (const name of [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]) imports.add(name)
    }
    for (const name of imports) {
      const known = KNOWN_IMPORTS.test(name) ? common.get(name) : null
      if (known !== null && known !== undefined) root.addJSON(known.nested ?? {})
    }
    root.resolveAll()
    const scope = own.package === undefined ? own.root : (own.root.lookup(own.package) as Namespace)
    const find = (name: string): ProtobufMessage => messageOf(root.lookupType(name))
    return {
      message: (path) => {
        const name = nameAt(scope, path)
        return name === null ? null : find(name)
      },
      named: (name) => {
        const found = root.lookup(name) ?? root.lookup(own.package === undefined ? name : `${own.package}.${name}`)
        return isType(found) ? messageOf(found) : null
      },
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw failStore('TM_SCHEMA_INVALID', `the Protobuf schema cannot be used: ${reason.slice(0, 300)}`, {
      cause: error,
    })
  }
}

function isType(found: ReflectionObject | null | undefined): found is Type {
  return found instanceof protobufjs().Type
}

function nameAt(scope: Namespace, path: readonly number[]): string | null {
  let at: Namespace = scope
  for (const index of path) {
    const found = at.nestedArray.filter(isType)[index]
    if (found === undefined) return null
    at = found
  }
  return isType(at) ? at.fullName : null
}

function messageOf(type: Type): ProtobufMessage {
  return { name: type.fullName.slice(1), fields: type.fieldsArray.map(fieldOf) }
}

function fieldOf(field: Field): ProtobufField {
  const { name, id, repeated, partOf } = field
  const kind = kindOf(field)
  // A field that is `optional` is alone in a oneof of its own.
  return { name, number: id, kind, repeated, oneof: partOf?.name ?? null, absent: absentOf(field, kind) }
}

function kindOf(field: Field): ProtobufKind {
  const { resolvedType } = field
  if (field.map) return { kind: 'message' }
  if (resolvedType === null) return { kind: 'scalar', scalar: field.type as ProtobufScalar }
  if (resolvedType instanceof protobufjs().Enum)
    return { kind: 'enum', names: new Map(Object.entries(resolvedType.values).map(([name, number]) => [number, name])) }
  if (resolvedType.fullName === '.google.protobuf.Timestamp') return { kind: 'timestamp' }
  const wrapped = WRAPPER.exec(resolvedType.fullName)?.[1].toLowerCase()
  return wrapped === undefined ? { kind: 'message' } : { kind: 'wrapper', scalar: wrapped as ProtobufScalar }
}

function absentOf(field: Field, kind: ProtobufKind): unknown {
  if (field.repeated) return []
  if (kind.kind !== 'scalar' && kind.kind !== 'enum') return undefined
  const declared: unknown = field.options?.default
  if (declared !== undefined && declared !== null) return defaultOf(kind, declared)
  const hasPresence = field.partOf !== null || field.hasPresence || field.required
  if (hasPresence) return undefined
  return kind.kind === 'enum' ? (kind.names.get(0) ?? undefined) : zeroOf(kind.scalar)
}

/** A default of proto2, as the library has it: a number, text, true, or the name of an enum's value. */
function defaultOf(kind: ProtobufKind, declared: unknown): unknown {
  if (kind.kind !== 'scalar') return String(declared)
  if (kind.scalar === 'bytes') return Buffer.from(String(declared), 'latin1')
  if (kind.scalar === 'string') return String(declared)
  if (kind.scalar === 'bool') return declared === true || declared === 'true'
  const number = Number(declared)
  return Number.isSafeInteger(number) || !kind.scalar.includes('64') ? number : BigInt(String(declared))
}

export function zeroOf(scalar: ProtobufScalar): unknown {
  if (scalar === 'string') return ''
  if (scalar === 'bytes') return new Uint8Array(0)
  return scalar === 'bool' ? false : 0
}
