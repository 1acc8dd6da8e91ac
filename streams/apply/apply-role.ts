import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { viewsHash } from '../../registry/view-sets.ts'
import { KeyedPartition } from './keyed-partition.ts'
import { moveServingAliases } from './live-views.ts'
import type { RecentBlocks } from '../blocks/recent-blocks.ts'
import { FedLogs, openFeeds } from '../feeds/source-feeds.ts'
import { usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** States that a sweep looks at in one step of each partition, how often, and how long it rests when it has seen all. */
const SWEEP_KEYS_MAX = 500
const SWEEP_EVERY_MS = 1000
const SWEEP_REST_MS = 10 * 60_000
/** How often a partition without events asks whether the store still has what it was given. */
const CHECK_EVERY_MS = 1000

interface Owned {
  /** Hash of the views that it was claimed for. */
  readonly views: string
  readonly partition: KeyedPartition
  /** When its states are looked through next, by `performance.now()`. */
  sweepAt: number
  checkAt: number
}

/** Keyed logs → online states: applies live sets, backfills new view versions beside them, and lets services read those that have become live. */
export class ApplyRole {
  readonly #context: StreamContext
  readonly #recent: RecentBlocks | null
  readonly #fed: FedLogs
  readonly #owned = new Map<string, Owned>()
  /** Partitions that stopped, with the cause, by name. */
  readonly #stopped = new Map<string, TidemarkError>()

  /** `recent` has blocks that ingest beside it has just appended. */
  constructor(context: StreamContext, recent: RecentBlocks | null = null) {
    this.#context = context
    this.#fed = new FedLogs(context.log)
    this.#recent = recent
  }

  /** Partitions (`<keyed log>/<number>`) that stopped for good, each with its cause; all others go on. */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return this.#stopped
  }

  /** Makes views live that have no history to replay, and lets services read them. For a process that applies nothing. */
  async begin(): Promise<void> {
    const { registry } = this.#context
    for (const source of await usedSources(this.#context)) await openFeeds(this.#context, source)
    for (const keyedLog of await this.#fed.among(await registry.keyedLogs())) {
      for (let partition = 0; partition < this.#context.partitions; partition++)
        await KeyedPartition.claim(this.#context, keyedLog, partition).catch(ignoreFenced)
    }
    await moveServingAliases(this.#context)
  }

  /** One fetch of every partition, flushed unless `hold` says that more is known to come, and one step of its backfill. Returns how much moved. */
  async runOnce({ hold = false }: { hold?: boolean } = {}): Promise<number> {
    let moved = 0
    for (const keyedLog of await this.#fed.among(await this.#context.registry.keyedLogs())) {
      for (let partition = 0; partition < this.#context.partitions; partition++) {
        moved += await this.#step(keyedLog, partition, hold)
      }
    }
    return moved + (await moveServingAliases(this.#context))
  }

  /** Looks at some stored states of each partition, now and then, and deletes those that nothing can read any more. */
  async sweep(): Promise<void> {
    const clock = performance.now()
    for (const [name, owned] of this.#owned) {
      if (clock < owned.sweepAt) continue
      try {
        const deleted = await owned.partition.sweep(Math.floor(this.#context.log.now()), SWEEP_KEYS_MAX)
        owned.sweepAt = clock + (deleted === null ? SWEEP_REST_MS : SWEEP_EVERY_MS)
      } catch (error) {
        this.#owned.delete(name)
        if (!isTidemarkError(error) || error.code !== 'TM_STREAM_FENCED') throw error
      }
    }
  }

  /** Flushes what was applied, of every partition owned. One that another worker has taken over is let go. */
  async settle(): Promise<void> {
    for (const [name, { partition }] of this.#owned) {
      try {
        await partition.settle()
      } catch (error) {
        if (!isTidemarkError(error) || error.code !== 'TM_STREAM_FENCED') throw error
        this.#owned.delete(name)
      }
    }
  }

  /** A partition that another worker has taken over is let go, and claimed again in the next round. One that cannot go on stops alone. */
  async #step(keyedLog: KeyedLog, number: number, hold: boolean): Promise<number> {
    const name = `${keyedLog.name}/${number}`
    if (this.#stopped.has(name)) return 0
    try {
      const owned = await this.#ownedAs(name, keyedLog, number)
      const moved = (await owned.partition.runOnce(hold)) + (await owned.partition.backfillOnce())
      await check(owned, moved > 0)
      return moved
    } catch (error) {
      this.#owned.delete(name)
      if (!isTidemarkError(error)) throw error
      if (error.code === 'TM_STREAM_FENCED') return 1
      if (error.disposition !== 'halt') throw error
      this.#stopped.set(name, error)
      return 0
    }
  }

  async #ownedAs(name: string, keyedLog: KeyedLog, number: number): Promise<Owned> {
    const views = viewsHash(keyedLog.views.map(({ version }) => version))
    const held = this.#owned.get(name)
    if (held?.views === views) return held
    const partition = await KeyedPartition.claim(this.#context, keyedLog, number, this.#recent)
    const owned = { views, partition, sweepAt: 0, checkAt: performance.now() + CHECK_EVERY_MS }
    this.#owned.set(name, owned)
    return owned
  }
}

/** TM_STREAM_FENCED where the store has lost something. A flush tells the same. */
async function check(owned: Owned, isFlushed: boolean): Promise<void> {
  const clock = performance.now()
  if (!isFlushed && clock < owned.checkAt) return
  owned.checkAt = clock + CHECK_EVERY_MS
  if (!isFlushed) await owned.partition.check()
}

/** Another worker owns the partition. */
function ignoreFenced(error: unknown): void {
  if (!isTidemarkError(error) || error.code !== 'TM_STREAM_FENCED') throw error
}
