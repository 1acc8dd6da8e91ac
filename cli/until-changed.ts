import type { LogWatch } from '../stores/log/log.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import { isEngineAway } from './engine-waits.ts'

/** Definitions, and how far others are, are looked at this often. */
const LOOK_EVERY_MS = 100
/** Work that follows from the time alone is looked for this often. */
const ROUND_EVERY_MS = 1000

/** What a role that found nothing to do waits for: an append, a change of the metadata by another process, or a second. To be marked before the role looks for work. */
export class UntilChanged {
  readonly #watch: LogWatch
  readonly #metadata: MetadataStore
  #version = -1

  constructor({ log, metadata }: { readonly log: { watch(): LogWatch }; readonly metadata: MetadataStore }) {
    this.#watch = log.watch()
    this.#metadata = metadata
  }

  async mark(): Promise<void> {
    await this.#watch.mark()
    this.#version = await this.#metadata.version()
  }

  /** An engine that does not answer ends the wait: the next step tells of it. */
  async wait(signal: AbortSignal): Promise<void> {
    try {
      await this.#wait(signal)
    } catch (error) {
      if (!isEngineAway(error)) throw error
    }
  }

  close(): void {
    this.#watch.close()
  }

  async #wait(signal: AbortSignal): Promise<void> {
    for (let waited = 0; waited < ROUND_EVERY_MS && !signal.aborted; waited += LOOK_EVERY_MS) {
      if (await this.#watch.wait(LOOK_EVERY_MS, signal)) return
      if ((await this.#metadata.version()) !== this.#version) return
    }
  }
}
