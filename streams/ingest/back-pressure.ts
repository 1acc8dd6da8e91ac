import { setTimeout as pause } from 'node:timers/promises'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { ArchiveProgress } from '../../stores/tables/archive-layout.ts'
import { BacklogSizes } from './backlog-sizes.ts'
import type { HeldBack } from './held-back.ts'
import { bucketsOf } from '../apply/partition-worker.ts'
import { readStopped } from '../stopped-partitions.ts'
import { keyedTopic, limitsOf } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const LOOK_EVERY_MS = 100
/** A consumer that has not moved for this long, though it is behind, does no work: nobody waits for it. */
const STILL_MS = 60_000

interface Consumer {
  readonly sizes: BacklogSizes
  /** −1: not known yet. */
  offset: number
  /** When it was last seen to have moved, by the clock of this process; −Infinity: never. */
  movedAt: number
}

interface Partition {
  readonly apply: Consumer
  readonly archive: Consumer
}

export interface BackPressureOptions {
  /** Monotonic, ms. Default: the process's. */
  readonly clock?: () => number
}

/**
 * Whether producers have to wait for apply or archive to come closer to the end of a keyed log. A consumer counts while it is seen to move: one that does not run, hangs or has
 * stopped with an error holds nobody back, nor does a view that is being built (it replays history at its own pace).
 */
export class BackPressure {
  readonly #context: StreamContext
  readonly #bytesMax: number
  readonly #clock: () => number
  readonly #partitions = new Map<string, Partition>()
  readonly #looked = new Map<string, { readonly at: number; readonly held: HeldBack | null }>()
  /** Of any partition: the archive takes them in turn, and may be long at one. */
  #archiveMovedAt = -Infinity
  #archiveSeen: string | null = null

  constructor(context: StreamContext, { clock = () => performance.now() }: BackPressureOptions = {}) {
    this.#context = context
    this.#bytesMax = limitsOf(context).backlogBytesMax
    this.#clock = clock
  }

  /** null: go on. Looks some times a second. */
  async heldBack(keyedLogs: readonly KeyedLog[]): Promise<HeldBack | null> {
    for (const { name } of keyedLogs) {
      let looked = this.#looked.get(name)
      if (looked === undefined || this.#clock() - looked.at >= LOOK_EVERY_MS) {
        looked = { held: await this.#look(name), at: this.#clock() }
        this.#looked.set(name, looked)
      }
      if (looked.held !== null) return looked.held
    }
    return null
  }

  /** Waits until nothing holds these back, or aborted. */
  async untilRoom(keyedLogs: readonly KeyedLog[], signal?: AbortSignal): Promise<void> {
    while (signal?.aborted !== true && (await this.heldBack(keyedLogs)) !== null)
      await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {})
  }

  async #look(keyedLog: string): Promise<HeldBack | null> {
    for (let partition = 0; partition < this.#context.partitions; partition++) {
      const at = this.#partition(keyedLog, partition)
      // Positions are read again only where those known do not say that there is room.
      if (at.apply.offset >= 0 && (await this.#furthestBehind(at)) === null) continue
      await this.#observe(keyedLog, partition, at)
      const by = await this.#furthestBehind(at)
      if (by === null || !this.#counts(at[by])) continue
      if (!(await this.#isStopped(keyedLog, partition, by))) return { by, keyedLog, partition }
    }
    return null
  }

  #partition(keyedLog: string, partition: number): Partition {
    const name = `${keyedLog}/${partition}`
    const known = this.#partitions.get(name)
    if (known !== undefined) return known
    const place = { topic: keyedTopic(keyedLog), partition }
    const consumer = (): Consumer => ({
      sizes: new BacklogSizes(this.#context.log, place, this.#bytesMax),
      offset: -1,
      movedAt: -Infinity,
    })
    const at = { apply: consumer(), archive: consumer() }
    this.#partitions.set(name, at)
    return at
  }

  /** One that is too far behind where it was last seen; of those that are not known to work, apply alone is asked about. */
  async #furthestBehind({ apply, archive }: Partition): Promise<HeldBack['by'] | null> {
    if (this.#counts(archive) && (await this.#isTooFar(archive))) return 'archive'
    return (await this.#isTooFar(apply)) ? 'apply' : null
  }

  async #isTooFar({ sizes, offset }: Consumer): Promise<boolean> {
    return (await sizes.behind(offset)) > this.#bytesMax
  }

  #counts({ movedAt }: Consumer): boolean {
    return this.#clock() - movedAt < STILL_MS
  }

  async #observe(keyedLog: string, partition: number, { apply, archive }: Partition): Promise<void> {
    const { online, metadata } = this.#context
    const markers = await online.markers(keyedLog, bucketsOf(this.#context, partition))
    // The furthest: buckets without events lag behind what was read. A marker without views is of no live set.
    const applied = markers.map((marker) => (marker === null || marker.views === '' ? 0 : marker.nextOffset))
    const isLive = markers.some((marker) => marker !== null && marker.views !== '')
    const hasMoved = apply.offset >= 0 && Math.max(...applied) > apply.offset
    apply.offset = Math.max(...applied)
    if (hasMoved) apply.movedAt = this.#clock()
    else if (!isLive) apply.movedAt = -Infinity
    const progress = await metadata.listProgress<ArchiveProgress>('archive')
    const seen = [...progress.values()].map(({ nextOffset, completeUntil }) => `${nextOffset} ${completeUntil}`).join()
    if (this.#archiveSeen !== null && seen !== this.#archiveSeen) this.#archiveMovedAt = this.#clock()
    this.#archiveSeen = seen
    archive.offset = progress.get(`${keyedLog}/${partition}`)?.nextOffset ?? 0
    archive.movedAt = this.#archiveMovedAt
  }

  async #isStopped(keyedLog: string, partition: number, by: HeldBack['by']): Promise<boolean> {
    const stopped = await readStopped(this.#context.metadata, by === 'apply' ? 'stream' : 'archive')
    return stopped.some((one) => one.partition === `${keyedLog}/${partition}`)
  }
}
