import { setTimeout as pause } from 'node:timers/promises'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { unreadyReasons } from '../inference/readiness.ts'
import type { Registry } from '../registry/registry.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import { isEngineAway } from './engine-waits.ts'

/** Who asks for readiness does not wait long. */
const ANSWER_MS_MAX = 1500

/** Whether a server can answer, and what is away although it can. */
export interface Readiness {
  readonly reasons: readonly string[]
  readonly impaired: readonly string[]
}

/**
 * A server that has been ready stays so while the metadata store is away: it knows the services that it serves, and new ones can wait. Without the online store none is ready.
 */
export class ServerReadiness {
  readonly #registry: Registry
  readonly #online: OnlineStore
  #wasReady = false

  constructor(registry: Registry, online: OnlineStore) {
    this.#registry = registry
    this.#online = online
  }

  async look(): Promise<Readiness> {
    try {
      const reasons = await within(unreadyReasons(this.#registry, this.#online), 'what is registered')
      this.#wasReady = reasons.length === 0
      return { reasons, impaired: [] }
    } catch (error) {
      if (!isEngineAway(error) && !(error instanceof Late)) throw error
      const cause = describe(error)
      const isOnlineAway = isTidemarkError(error) && error.code === 'TM_ONLINE_UNAVAILABLE'
      if (!this.#wasReady || isOnlineAway) return { reasons: [cause], impaired: [] }
      const online = await this.#onlineFailure()
      return online === null
        ? { reasons: [], impaired: [`known services are answered all the same: ${cause}`] }
        : { reasons: [online, cause], impaired: [] }
    }
  }

  async #onlineFailure(): Promise<string | null> {
    try {
      // Whether it answers: no keyed log is named so.
      await within(this.#online.markers('', [0]), 'the online store')
      return null
    } catch (error) {
      if (!isEngineAway(error) && !(error instanceof Late)) throw error
      return describe(error)
    }
  }
}

/** What is read, or `otherwise` where an engine does not give it within a moment. */
export async function readOr<T>(otherwise: T, read: () => Promise<T>): Promise<T> {
  try {
    return await within(read(), '')
  } catch (error) {
    if (!isEngineAway(error) && !(error instanceof Late)) throw error
    return otherwise
  }
}

class Late extends Error {}

async function within<T>(reading: Promise<T>, what: string): Promise<T> {
  const timer = new AbortController()
  const late = pause(ANSWER_MS_MAX, undefined, { signal: timer.signal }).then(() => {
    throw new Late(`${what} cannot be read: no answer for ${ANSWER_MS_MAX / 1000} s`)
  })
  late.catch(() => {})
  return Promise.race([reading, late]).finally(() => timer.abort())
}

function describe(error: Error): string {
  return isTidemarkError(error) ? `${error.code}: ${error.message}` : error.message
}
