import { failStore } from '../errors.ts'
import { withoutPassword } from '../without-password.ts'
import { describeSchema } from './schema-registry.ts'
import type { RegisteredSchema, SchemaKey, SchemaRegistry } from './schema-registry.ts'

export interface ConfluentRegistryOptions {
  /** Monotonic, ms. Default: the process's. */
  readonly clock?: () => number
  /** After this long without an answer the registry counts as unreachable. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 10_000
/** For this long after a request failed no other is made: a registry that is away is not hammered, and nobody waits for it twice. */
const AWAY_MS = 1000
/** That the registry does not have a schema is asked again after this long: it may be registered meanwhile. */
const UNKNOWN_MS = 10_000
const UNKNOWN_MAX = 10_000
/** References of references of …: a chain that is longer runs in a circle. */
const REFERENCES_MAX = 1000
/** Every registry has it, and it is short. */
const TYPES = '/schemas/types'
const ACCEPT = 'application/vnd.schemaregistry.v1+json, application/json'

interface SchemaAnswer {
  readonly schema?: unknown
  readonly schemaType?: unknown
  readonly references?: unknown
}

/** A registry with Confluent's API (Confluent, Apicurio, Karapace, Redpanda): `https://user:password@host:port/path`. TM_CONFIG_SCHEMA_REGISTRY. */
export class ConfluentRegistry implements SchemaRegistry {
  readonly #base: string
  readonly #authorization: string | null
  readonly #clock: () => number
  readonly #timeoutMs: number
  readonly #schemas = new Map<SchemaKey, RegisteredSchema>()
  readonly #asked = new Map<SchemaKey, Promise<RegisteredSchema | null>>()
  /** Until when a schema counts as unknown. */
  readonly #unknown = new Map<SchemaKey, number>()
  #away: { readonly error: Error; readonly until: number } | null = null

  constructor(
    address: string,
    { clock = () => performance.now(), timeoutMs = TIMEOUT_MS }: ConfluentRegistryOptions = {},
  ) {
    const url = parseAddress(address)
    this.#authorization =
      url.username === ''
        ? null
        : `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString('base64')}`
    url.username = url.password = ''
    this.#base = url.href.replace(/\/$/, '')
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  async schema(key: SchemaKey): Promise<RegisteredSchema | null> {
    const known = this.#schemas.get(key)
    if (known !== undefined) return known
    if ((this.#unknown.get(key) ?? -Infinity) > this.#clock()) return null
    const asked = this.#asked.get(key) ?? this.#ask(key)
    this.#asked.set(key, asked)
    try {
      return await asked
    } finally {
      this.#asked.delete(key)
    }
  }

  async #ask(key: SchemaKey): Promise<RegisteredSchema | null> {
    const answer = await this.#get(`/schemas/${key}`)
    if (answer === null) {
      if (this.#unknown.size >= UNKNOWN_MAX) this.#unknown.clear()
      this.#unknown.set(key, this.#clock() + UNKNOWN_MS)
      return null
    }
    const schema = await this.#read(answer, describeSchema(key))
    this.#schemas.set(key, schema)
    return schema
  }

  async #read(answer: SchemaAnswer, what: string): Promise<RegisteredSchema> {
    const { schema, schemaType = 'AVRO' } = answer
    if (typeof schema !== 'string') throw this.#fail(`its answer for ${what} has no schema: is the address right?`)
    if (schemaType !== 'AVRO' && schemaType !== 'PROTOBUF' && schemaType !== 'JSON')
      throw failStore(
        'TM_SCHEMA_INVALID',
        `${what} is of type ${JSON.stringify(schemaType)}, known are AVRO, PROTOBUF and JSON`,
      )
    const references = new Map<string, { name: string; text: string }>()
    await this.#addReferences(answer.references, what, references)
    return { type: schemaType, text: schema, references: [...references.values()] }
  }

  /** Depth first, so that each comes before what refers to it. */
  async #addReferences(
    references: unknown,
    what: string,
    found: Map<string, { name: string; text: string }>,
    depth: number = 0,
  ): Promise<void> {
    if (!Array.isArray(references)) return
    if (depth > 100 || found.size > REFERENCES_MAX)
      throw failStore('TM_SCHEMA_INVALID', `${what} refers to too many others`)
    for (const reference of references as readonly { name?: unknown; subject?: unknown; version?: unknown }[]) {
      const { name, subject, version } = reference
      const place = `${String(subject)}/versions/${String(version)}`
      if (found.has(place)) continue
      const answer = await this.#get(`/subjects/${encodeURIComponent(String(subject))}/versions/${Number(version)}`)
      if (typeof answer?.schema !== 'string')
        throw failStore(
          'TM_SCHEMA_INVALID',
          `${what} refers to version ${String(version)} of subject ${String(subject)}, which the schema registry does not have: register it`,
        )
      await this.#addReferences(answer.references, what, found, depth + 1)
      found.set(place, { name: String(name), text: answer.schema })
    }
  }

  /** null: the registry says that it does not have it. */
  async #get(path: string): Promise<SchemaAnswer | null> {
    if (this.#away !== null && this.#clock() < this.#away.until) throw this.#away.error
    try {
      const answer = await this.#request(path)
      this.#away = null
      return answer
    } catch (error) {
      this.#away = { error: error as Error, until: this.#clock() + AWAY_MS }
      throw error
    }
  }

  async #request(path: string): Promise<SchemaAnswer | null> {
    let status: number
    let body: unknown
    try {
      const headers: Record<string, string> = { accept: ACCEPT }
      if (this.#authorization !== null) headers.authorization = this.#authorization
      const answer = await fetch(this.#base + path, { headers, signal: AbortSignal.timeout(this.#timeoutMs) })
      status = answer.status
      const text = await answer.text()
      body = parseJson(text)
    } catch (error) {
      throw this.#fail(describeFailure(error, this.#timeoutMs), error)
    }
    if (status === 200 && typeof body === 'object' && body !== null) return body
    if (status === 404 && isErrorCode(body)) return null
    // Some know no GUIDs, and say so in their own way; what a wrong address answers is no word of a registry about a schema.
    if ([400, 404, 405, 422].includes(status) && path !== TYPES && Array.isArray(await this.#request(TYPES)))
      return null
    if (status === 401 || status === 403) throw this.#fail(`it refuses the credentials (${status})`)
    throw this.#fail(
      `it answers ${status}${status === 404 ? ' as no registry does: is the path of the address right?' : ''}`,
    )
  }

  #fail(problem: string, cause?: unknown): Error {
    return failStore(
      'TM_SCHEMA_REGISTRY_UNAVAILABLE',
      `the schema registry at ${this.#base} cannot be used: ${problem}. Start it, or correct TIDEMARK_SCHEMA_REGISTRY; events that need it wait`,
      { cause },
    )
  }
}

function parseAddress(address: string): URL {
  const url = URL.parse(address)
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url
  throw failStore(
    'TM_CONFIG_SCHEMA_REGISTRY',
    `TIDEMARK_SCHEMA_REGISTRY is ${withoutPassword(address)}: expected http://host:port or https://user:password@host:port/path`,
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}

/** 404xx: subject, version or schema not found. */
function isErrorCode(body: unknown): boolean {
  const code = typeof body === 'object' && body !== null ? (body as { error_code?: unknown }).error_code : undefined
  return typeof code === 'number' && (code === 404 || (code >= 40_400 && code < 40_500))
}

function describeFailure(error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `it has not answered in ${timeoutMs} ms`
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const code = (cause as { code?: unknown } | null)?.code
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  return cause instanceof Error ? cause.message : String(cause)
}
