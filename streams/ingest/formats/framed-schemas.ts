import { isTidemarkError, invariant } from '../../../features/errors/tidemark-error.ts'
import { failStore } from '../../../stores/errors.ts'
import { describeSchema } from '../../../stores/schemas/schema-registry.ts'
import type { RegisteredSchema, SchemaKey, SchemaRegistry } from '../../../stores/schemas/schema-registry.ts'
import { failStream } from '../../errors.ts'

/*
 * What a schema registry's serializers put before an event:
 *
 *   u8 0, i32 schema id (big-endian)     |     u8 1, 16 bytes of a GUID
 *
 * Where a producer sends the GUID in a header of the record, its bytes, which are the second form, come before the value (see `recordBytes`).
 */
const ID = 0
const GUID = 1
const ID_BYTES = 5
const GUID_BYTES = 17
const ID_MAX = 0x7fffffff
/** Requests at once to a registry. */
const ASKED_AT_ONCE = 16

/** Where the event begins in a framed record. TM_EVENT_MALFORMED. */
export function frameLength(record: Buffer): number {
  const length = record[0] === ID ? ID_BYTES : record[0] === GUID ? GUID_BYTES : 0
  if (length === 0 || record.length < length)
    throw failStream(
      'TM_EVENT_MALFORMED',
      `expected the frame of a schema registry (byte 0 and 4 bytes of an id, or byte 1 and 16 bytes of a GUID), found ${record.length < length ? `${record.length} bytes` : `byte ${record[0]}`} at the beginning`,
    )
  return length
}

/** What schemas that records name are compiled to, each once. */
export class FramedSchemas<C> {
  readonly #registry: SchemaRegistry | null
  readonly #compile: (schema: RegisteredSchema, key: SchemaKey) => C
  readonly #compiled = new Map<number | string, C>()
  /** Of the records at hand: schemas that are not there, or cannot be used. */
  readonly #problems = new Map<number | string, Error>()
  #lastId = -1
  #last: C | undefined

  constructor(registry: SchemaRegistry | null, compile: (schema: RegisteredSchema, key: SchemaKey) => C) {
    this.#registry = registry
    this.#compile = compile
  }

  async prepare(records: readonly Uint8Array[]): Promise<void> {
    this.#problems.clear()
    const wanted = new Set<number | string>()
    for (const record of records) {
      const name = nameOf(record)
      if (name !== null && !this.#compiled.has(name)) wanted.add(name)
    }
    const all = [...wanted]
    for (let at = 0; at < all.length; at += ASKED_AT_ONCE)
      await Promise.all(all.slice(at, at + ASKED_AT_ONCE).map((name) => this.#learn(name)))
  }

  /** TM_EVENT_MALFORMED, TM_SCHEMA_UNKNOWN, TM_SCHEMA_INVALID. */
  of(record: Buffer): C {
    if (record[0] === ID && record.length >= ID_BYTES) {
      const id = record.readUInt32BE(1)
      if (id === this.#lastId && this.#last !== undefined) return this.#last
      this.#last = this.#find(id)
      this.#lastId = id
      return this.#last
    }
    frameLength(record)
    return this.#find(nameOf(record) ?? '')
  }

  #find(name: number | string): C {
    const found = this.#compiled.get(name)
    if (found !== undefined) return found
    const problem = this.#problems.get(name)
    invariant(problem !== undefined, `schema ${name} was not asked for`)
    throw problem
  }

  async #learn(name: number | string): Promise<void> {
    const key: SchemaKey = typeof name === 'number' ? `ids/${name}` : `guids/${name}`
    try {
      const schema = typeof name === 'number' && name > ID_MAX ? null : await this.#ask(key)
      if (schema === null)
        throw failStore(
          'TM_SCHEMA_UNKNOWN',
          `the schema registry has no ${describeSchema(key)}: register it, or correct TIDEMARK_SCHEMA_REGISTRY, then replay the letter`,
        )
      this.#compiled.set(name, this.#compile(schema, key))
    } catch (error) {
      if (!isTidemarkError(error) || error.disposition !== 'dead-letter') throw error
      this.#problems.set(name, error)
    }
  }

  #ask(key: SchemaKey): Promise<RegisteredSchema | null> {
    if (this.#registry !== null) return this.#registry.schema(key)
    throw failStore(
      'TM_SCHEMA_REGISTRY_UNAVAILABLE',
      'the source needs a schema registry and none is set: set TIDEMARK_SCHEMA_REGISTRY to its address, as in http://127.0.0.1:8081',
    )
  }
}

/** An id, or a GUID as text; null: no frame. */
function nameOf(record: Uint8Array): number | string | null {
  if (record[0] === ID && record.length >= ID_BYTES) return new DataView(record.buffer, record.byteOffset).getUint32(1)
  if (record[0] !== GUID || record.length < GUID_BYTES) return null
  const hex = Buffer.from(record.buffer, record.byteOffset + 1, GUID_BYTES - 1).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
