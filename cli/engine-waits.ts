import { setTimeout as pause } from 'node:timers/promises'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { describeMs } from './terminal/describe-amounts.ts'
import type { LogLines } from './terminal/log-lines.ts'

const PAUSE_MS_MIN = 200
const PAUSE_MS_MAX = 5000

/** What work of a process waits for, since when (epoch ms, of the host). */
export interface WaitedFor {
  readonly code: string
  readonly message: string
  readonly since: number
}

interface Cause extends WaitedFor {
  /** Works that failed for it, and have not come to their end since. */
  readonly works: Set<string>
}

export interface EngineWaitsOptions {
  readonly role: string
  readonly log: LogLines
  /** Told when what is waited for is another. */
  readonly changed?: () => void
}

/**
 * Waiting for engines (log, online store, metadata, objects) that do not answer: work goes on by itself when they do, so its process need not end. Each cause is said once, however many works wait for it and
 * however long, and once when it is over.
 */
export class EngineWaits {
  readonly #options: EngineWaitsOptions
  readonly #causes = new Map<string, Cause>()

  constructor(options: EngineWaitsOptions) {
    this.#options = options
  }

  /** What is waited for now. */
  get current(): WaitedFor[] {
    return [...this.#causes.values()].map(({ code, message, since }) => ({ code, message, since }))
  }

  /** Does a work, named, again after growing pauses while an engine that it needs is away; null where aborted first. Any other failure is thrown. */
  async through<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T | null> {
    for (let pauseMs = PAUSE_MS_MIN; !signal.aborted; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      try {
        const result = await work()
        this.#over(name)
        return result
      } catch (error) {
        if (!isEngineAway(error)) throw error
        this.#away(name, error)
        await pause(pauseMs, undefined, { signal }).catch(() => {})
      }
    }
    return null
  }

  #away(name: string, { code, message }: TidemarkError): void {
    const known = this.#causes.get(code)
    if (known !== undefined) {
      known.works.add(name)
      return
    }
    this.#causes.set(code, { code, message, since: Date.now(), works: new Set([name]) })
    this.#options.log('warn', this.#options.role, `${code}: ${message}; what needs it waits, nothing is lost`, { code })
    this.#options.changed?.()
  }

  /** A work that comes to its end needs nothing that is away. */
  #over(name: string): void {
    for (const { code, since, works } of this.#causes.values()) {
      if (!works.delete(name) || works.size > 0) continue
      this.#causes.delete(code)
      const after = describeMs(Date.now() - since)
      this.#options.log('info', this.#options.role, `${code} is over after ${after}: goes on`, { code })
      this.#options.changed?.()
    }
  }
}

/** Whether a failure passes by itself, without this process being started anew: an engine is away. A full disk is not of these: stores of this process may have to be opened again. */
export function isEngineAway(error: unknown): error is TidemarkError {
  return isTidemarkError(error) && error.disposition === 'retry' && error.code !== 'TM_DISK_FULL'
}
