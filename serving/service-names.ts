import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { FeatureReader } from '../inference/assemble.ts'
import type { Row } from '../inference/parse-rows.ts'
import type { ServedVector } from '../inference/served-vector.ts'
import type { Registry } from '../registry/registry.ts'

const ALIAS_MS = 1000
/** So long a request waits for what a known name means now; then it is answered by what it meant. */
const LOOK_UP_MS_MAX = 250

export interface NamedVectors {
  readonly service: CompiledService
  readonly vectors: ServedVector[]
}

/** Service names resolved to versions, looked up again after a second. While that cannot be done (the metadata store is away), a name means what it meant. */
export class ServiceNames {
  readonly #registry: Registry
  readonly #aliasMs: number
  readonly #known = new Map<string, { service: CompiledService; until: number }>()
  readonly #lookingUp = new Map<string, Promise<CompiledService>>()

  constructor(registry: Registry, aliasMs: number = ALIAS_MS) {
    this.#registry = registry
    this.#aliasMs = aliasMs
  }

  /** The service, if it was looked up a moment ago. */
  known(name: string): CompiledService | null {
    const known = this.#known.get(name)
    return known !== undefined && performance.now() < known.until ? known.service : null
  }

  /** Whether the name was ever found. */
  knows(name: string): boolean {
    return this.#known.has(name)
  }

  async find(name: string): Promise<CompiledService> {
    const known = this.#known.get(name)
    const looking = this.#lookingUp.get(name) ?? this.#lookUp(name)
    if (known === undefined) return looking
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), LOOK_UP_MS_MAX)))
    const found = await Promise.race([looking.catch(unlessAway), late]).finally(() => clearTimeout(timer))
    if (found !== null) return found
    known.until = performance.now() + this.#aliasMs
    return known.service
  }

  #lookUp(name: string): Promise<CompiledService> {
    const looking = this.#registry
      .service(name)
      .then((service) => {
        this.#known.set(name, { service, until: performance.now() + this.#aliasMs })
        return service
      })
      .finally(() => this.#lookingUp.delete(name))
    this.#lookingUp.set(name, looking)
    // Who asked may have gone on without it.
    looking.catch(() => {})
    return looking
  }

  /** Vectors of the service that a name means now, at once; null where that takes waiting: `read` does it then. */
  readNow(
    reader: FeatureReader,
    name: string,
    entities: readonly Row[],
    requests: readonly Row[],
  ): NamedVectors | null {
    const service = this.known(name)
    if (service === null) return null
    const vectors = reader.readNow(service, entities, requests)
    return vectors === null ? null : { service, vectors }
  }

  /** Vectors of the service that a name means now. */
  async read(
    reader: FeatureReader,
    name: string,
    entities: readonly Row[],
    requests: readonly Row[],
  ): Promise<NamedVectors> {
    const service = this.known(name) ?? (await this.find(name))
    try {
      return { service, vectors: await reader.read(service, entities, requests) }
    } catch (error) {
      // The name may have moved to another version since it was looked up, and the views of the old one left.
      if (!isTidemarkError(error) || error.code !== 'TM_SERVICE_NOT_READY') throw error
      const found = await this.find(name)
      if (found.version === service.version) throw error
      return { service: found, vectors: await reader.read(found, entities, requests) }
    }
  }
}

/** null: it cannot be looked up now. */
function unlessAway(error: unknown): null {
  if (isTidemarkError(error) && error.disposition === 'retry') return null
  throw error
}
