import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { viewsHash } from '../../registry/view-sets.ts'
import { flushTogether } from './flush-round.ts'
import type { PendingFlush } from './flush-round.ts'
import { KeyedPartition } from './keyed-partition.ts'
import { moveServingAliases } from './live-views.ts'
import type { RecentBlocks } from '../blocks/recent-blocks.ts'
import { FedLogs, openFeeds } from '../feeds/source-feeds.ts'
import { keyedPart, OWNS_ALL } from '../workers/ownership.ts'
import type { Ownership } from '../workers/ownership.ts'
import { usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** States that a sweep looks at in one step of each partition, how often, and how long it rests when it has seen all. */
const SWEEP_KEYS_MAX = 500
const SWEEP_EVERY_MS = 1000
const SWEEP_REST_MS = 10 * 60_000
/** A round's flush is made in parts where it would write more entities than this. */
const ROUND_ENTITIES_MAX = 25_000
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

/** A partition with what it has to flush. */
interface Due {
  readonly name: string
  readonly partition: KeyedPartition
  readonly pending: PendingFlush
  isDone?: true
}

/** Keyed logs → online states: applies live sets, backfills new view versions beside them, and lets services read those that have become live. */
export class ApplyRole {
  readonly #context: StreamContext
  readonly #recent: RecentBlocks | null
  readonly #fed: FedLogs
  readonly #ownership: Ownership
  readonly #owned = new Map<string, Owned>()
  /** Partitions that stopped, with the cause, by name. */
  readonly #stopped = new Map<string, TidemarkError>()

  /** `recent` has blocks that ingest beside it has just appended. */
  constructor(context: StreamContext, recent: RecentBlocks | null = null, ownership: Ownership = OWNS_ALL) {
    this.#context = context
    this.#ownership = ownership
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

  /** One fetch of every partition, flushed together unless `hold` says that more is known to come, and one step of its backfill. Returns how much moved. */
  async runOnce({ hold = false }: { hold?: boolean } = {}): Promise<number> {
    let moved = 0
    let due = 0
    for (const keyedLog of await this.#fed.among(await this.#context.registry.keyedLogs())) {
      for (let partition = 0; partition < this.#context.partitions; partition++) {
        const name = keyedPart(keyedLog.name, partition)
        moved += await this.#step(name, keyedLog, partition, hold)
        due += this.#owned.get(name)?.partition.dueEntities ?? 0
        if (due < ROUND_ENTITIES_MAX) continue
        moved += await this.#flush(false)
        due = 0
      }
    }
    moved += await this.#flush(false)
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

  /** Flushes what was applied of these partitions, which are to be another worker's. */
  async letGo(names: readonly string[]): Promise<void> {
    await this.#flush(true, new Set(names))
    for (const name of names) this.#forget(name)
  }

  /** Flushes what was applied, of every partition owned. One that another worker has taken over is let go. */
  async settle(): Promise<void> {
    await this.#flush(true)
  }

  /** Flushes what is due, of every partition owned or of those named, or (`settle`) all that was applied. Returns how many partitions were taken over by others. */
  async #flush(settle: boolean, names: { has(name: string): boolean } = this.#owned): Promise<number> {
    const due: Due[] = []
    for (const [name, { partition }] of this.#owned) {
      if (!names.has(name)) continue
      const pending = partition.takeFlush(settle)
      if (pending !== null) due.push({ name, partition, pending })
    }
    try {
      return await this.#flushAll(due)
    } catch (error) {
      // What could not be stored for a reason of its own is found one by one.
      if (due.length < 2 || !isTidemarkError(error) || error.disposition === 'retry') throw error
      let moved = 0
      for (const one of due)
        moved += await this.#flushAll([one]).catch((cause: unknown) => this.#failed(one.name, cause))
      return moved
    } finally {
      // Whose flush came to no end is claimed anew: what is in the store then counts.
      for (const { name, partition, isDone } of due)
        if (isDone !== true && this.#owned.get(name)?.partition === partition) this.#owned.delete(name)
    }
  }

  async #flushAll(due: readonly Due[]): Promise<number> {
    const outcomes = await flushTogether(
      this.#context,
      due.map(({ pending }) => pending),
    )
    let moved = 0
    for (const [i, one] of due.entries()) {
      try {
        await one.partition.flushed(one.pending, outcomes[i])
        one.isDone = true
      } catch (error) {
        moved += this.#failed(one.name, error)
      }
    }
    return moved
  }

  /** Applies and builds on; what is to be flushed then is left to the round. */
  async #step(name: string, keyedLog: KeyedLog, number: number, hold: boolean): Promise<number> {
    // What was applied and not flushed is the next owner's to apply.
    if (!this.#ownership.owns(name)) this.#forget(name)
    if (this.#stopped.has(name) || !this.#ownership.owns(name)) return 0
    try {
      const owned = await this.#ownedAs(name, keyedLog, number)
      const moved = (await owned.partition.applyOnce(hold)) + (await owned.partition.backfillOnce())
      await check(owned, moved > 0)
      return moved
    } catch (error) {
      return this.#failed(name, error)
    }
  }

  #forget(name: string): void {
    this.#owned.delete(name)
    this.#stopped.delete(name)
  }

  /** A partition that another worker has taken over is let go, and claimed again in the next round. One that cannot go on stops alone. */
  #failed(name: string, error: unknown): number {
    this.#owned.delete(name)
    if (!isTidemarkError(error)) throw error
    if (error.code === 'TM_STREAM_FENCED') return 1
    if (error.disposition !== 'halt') throw error
    this.#stopped.set(name, error)
    return 0
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
