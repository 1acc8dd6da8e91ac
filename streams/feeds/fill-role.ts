import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { KeyedLogFill } from './keyed-log-fill.ts'
import { isConflict, otherDonors, SourceFeeds } from './source-feeds.ts'
import type { StreamContext } from '../stream-context.ts'

/** Keyed logs of further entities → filled with the history of their source, then fed like the others. */
export class FillRole {
  readonly #context: StreamContext
  readonly #feeds = new Map<string, SourceFeeds>()
  readonly #fills = new Map<string, KeyedLogFill>()
  readonly #stopped = new Map<string, TidemarkError>()
  readonly #waiting = new Map<string, TidemarkError>()

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** Keyed logs whose fill stopped for good, each with its cause. */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return this.#stopped
  }

  /** Keyed logs whose fill waits for the schema registry, each with the cause. */
  get waiting(): ReadonlyMap<string, TidemarkError> {
    return this.#waiting
  }

  /** A step of every fill. Returns how much moved; 0: nothing is to be filled. */
  async runOnce(): Promise<number> {
    let moved = 0
    for (const keyedLog of await this.#context.registry.keyedLogs()) {
      const feeds = await this.#feedsOf(keyedLog)
      if (feeds.isFed(keyedLog.name) || this.#stopped.has(keyedLog.name)) continue
      // Without any history producers begin to feed it themselves.
      if (feeds.isNew && (await otherDonors(this.#context, keyedLog.source)).length === 0) continue
      moved += await this.#step(keyedLog, feeds)
    }
    return moved
  }

  async #feedsOf({ source }: KeyedLog): Promise<SourceFeeds> {
    const name = sourceLogName(source)
    const feeds = this.#feeds.get(name) ?? new SourceFeeds(name)
    this.#feeds.set(name, feeds)
    await feeds.readOn(this.#context.log)
    return feeds
  }

  async #step(keyedLog: KeyedLog, feeds: SourceFeeds): Promise<number> {
    const { name } = keyedLog
    try {
      const fill = this.#fills.get(name) ?? (await KeyedLogFill.open(this.#context, keyedLog, feeds))
      this.#fills.set(name, fill)
      const events = await fill.step(feeds)
      this.#waiting.delete(name)
      if (events === null) this.#fills.delete(name)
      return 1 + (events ?? 0)
    } catch (error) {
      // Another process fills it too: begin anew from what is there.
      this.#fills.delete(name)
      if (isConflict(error)) return 1
      if (!isTidemarkError(error)) throw error
      if (error.code === 'TM_SCHEMA_REGISTRY_UNAVAILABLE') {
        this.#waiting.set(name, error)
        return 0
      }
      if (error.disposition !== 'halt') throw error
      this.#stopped.set(name, error)
      return 0
    }
  }
}
