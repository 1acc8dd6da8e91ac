import type { Log } from '../stores/log/log.ts'
import { appendServed } from './served-log.ts'
import { servedRow } from './served-record.ts'
import type { ServedVector } from './served-vector.ts'

export interface ServedLoggerOptions {
  readonly log: Log
  /** Share of entity keys whose vectors are logged, 0…1. Default 1. */
  readonly share?: number
  /** Rows a second at most; under more load fewer keys are logged, each of them fully. Default 50. */
  readonly rowsPerSecondMax?: number
  /** Told why rows could not be appended. */
  readonly onError?: (error: unknown) => void
}

export interface ServedLoggerCounts {
  readonly logged: number
  /** Rows of keys outside the sample. */
  readonly skipped: number
  /** Rows of sampled keys that were not logged: more than the limit within a second, or the log refused them. */
  readonly droppedRate: number
  readonly droppedAppend: number
}

const SHARE = 1
const ROWS_PER_SECOND_MAX = 50
const FLUSH_EVERY_MS = 1000
/** Rows that wait for a slow log at most, in seconds' worth. */
const PENDING_SECONDS_MAX = 10

interface Pending {
  readonly vector: ServedVector
  readonly requestId: string
  readonly row: number
}

/**
 * The sampled log of served vectors. Which keys are logged follows from a hash of the key alone, so that all requests of a key are there or none.
 * `offer` neither waits nor throws; rows are encoded and appended once a second, and at `close`.
 */
export class ServedLogger {
  readonly #options: ServedLoggerOptions
  readonly #share: number
  readonly #rowsMax: number
  readonly #timer: NodeJS.Timeout
  #pending: Pending[] = []
  #flushing: Promise<void> | null = null
  /** Keys with a hash below it are logged. */
  #threshold: number
  #offered = 0
  #taken = 0
  #logged = 0
  #skipped = 0
  #droppedRate = 0
  #droppedAppend = 0

  constructor(options: ServedLoggerOptions) {
    this.#options = options
    this.#share = options.share ?? SHARE
    this.#rowsMax = options.rowsPerSecondMax ?? ROWS_PER_SECOND_MAX
    this.#threshold = this.#share
    this.#timer = setInterval(() => this.#tick(), FLUSH_EVERY_MS)
    this.#timer.unref()
  }

  get counts(): ServedLoggerCounts {
    return {
      logged: this.#logged,
      skipped: this.#skipped,
      droppedRate: this.#droppedRate,
      droppedAppend: this.#droppedAppend,
    }
  }

  offer(requestId: string, vectors: readonly ServedVector[]): void {
    this.#offered += vectors.length
    for (let row = 0; row < vectors.length; row++) {
      const vector = vectors[row]
      if (vector.parts.keyHash / 2 ** 32 >= this.#threshold) this.#skipped++
      else if (this.#taken >= this.#rowsMax || this.#pending.length >= PENDING_SECONDS_MAX * this.#rowsMax)
        this.#droppedRate++
      else {
        this.#taken++
        this.#pending.push({ vector, requestId, row })
      }
    }
  }

  /** Appends what was offered so far. */
  async flush(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing
    if (this.#pending.length === 0) return
    this.#flushing = this.#append()
    await this.#flushing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }

  #tick(): void {
    // Fewer keys while more rows come than may be logged: the share that would have met the limit in the second that went by.
    this.#threshold = Math.min(this.#share, this.#offered === 0 ? 1 : this.#rowsMax / this.#offered)
    this.#offered = 0
    this.#taken = 0
    if (this.#flushing === null) void this.flush()
  }

  async #append(): Promise<void> {
    const pending = this.#pending
    this.#pending = []
    try {
      const rows = pending.map(({ vector, requestId, row }) => servedRow(vector, requestId, row))
      await appendServed(this.#options.log, rows)
      this.#logged += rows.length
    } catch (error) {
      this.#droppedAppend += pending.length
      this.#options.onError?.(error)
    } finally {
      this.#flushing = null
    }
  }
}
