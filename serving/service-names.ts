import type { CompiledService } from '../features/kernel/compiled-view.ts'
import type { Registry } from '../registry/registry.ts'

const ALIAS_MS = 1000

/** Service names resolved to versions, looked up again after a second. */
export class ServiceNames {
  readonly #registry: Registry
  readonly #aliasMs: number
  readonly #known = new Map<string, { service: CompiledService; until: number }>()

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
    const service = await this.#registry.service(name)
    this.#known.set(name, { service, until: performance.now() + this.#aliasMs })
    return service
  }
}
