import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { FlushOutcome, Marker, ViewMove } from '../stores/online/online-store.ts'
import { bucketsOf, PartitionWorker } from './partition-worker.ts'
import { ArchiveReader } from './archive-reader.ts'
import { failStream } from './errors.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

/** Fetches of one backfill step, against one of the live set: so that a backfill gains on a live set that never rests. */
const BACKFILL_FETCHES = 4

/** A view version on its way into the live set of a keyed partition. */
interface Backfill {
  readonly view: CompiledView
  readonly worker: PartitionWorker
}

/**
 * One keyed partition with one owner: its live set, applied together, and the view versions that are being backfilled beside it. A version joins bucket by bucket when it
 * stands where the live set stands, and leaves the same way; a crash in between leaves buckets of two kinds, which the next owner makes one before it applies anything.
 */
export class KeyedPartition {
  readonly keyedLog: KeyedLog
  readonly partition: number
  readonly #context: StreamContext
  readonly #incarnation: string
  #live: PartitionWorker | null = null
  #backfills: Backfill[] = []

  private constructor(context: StreamContext, keyedLog: KeyedLog, partition: number, incarnation: string) {
    this.#context = context
    this.keyedLog = keyedLog
    this.partition = partition
    this.#incarnation = incarnation
  }

  /** Takes the partition over for exactly the views that the keyed log names. */
  static async claim(context: StreamContext, keyedLog: KeyedLog, partition: number): Promise<KeyedPartition> {
    const topic = await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
    const owned = new KeyedPartition(context, keyedLog, partition, topic.incarnation)
    await owned.#begin()
    await owned.#settleBuckets()
    await owned.#leaveUnwanted()
    await owned.#openLive()
    await owned.#openBackfills()
    return owned
  }

  /** One fetch of the live set, flushed unless `hold` (see `PartitionWorker.runOnce`). Returns how many events were applied. */
  async runOnce(hold: boolean = false): Promise<number> {
    return (await this.#live?.runOnce({ hold })) ?? 0
  }

  /** Flushes what was applied. */
  async settle(): Promise<void> {
    await this.#live?.settle()
  }

  /** One step of one backfill, and its hand-over if that brought it to where the live set stands. Returns how much moved; 0: nothing is left to do. */
  async backfillOnce(): Promise<number> {
    const next = this.#backfills[0]
    if (next === undefined) return 0
    const target = await this.#target()
    let moved = 0
    for (let fetch = 0; fetch < BACKFILL_FETCHES && next.worker.nextOffset < target; fetch++) {
      moved += 1 + (await next.worker.runOnce({ until: target }))
    }
    if (next.worker.nextOffset < target) return moved
    // A version joins in buckets whose two markers are equal: idle ones may lie behind.
    await this.#live?.settle()
    await next.worker.settle()
    await this.#handOver(next)
    return moved + 1
  }

  /** Where a backfill must stand to join: where the live set stands; the end of the log if that is empty. */
  async #target(): Promise<number> {
    return this.#live?.nextOffset ?? this.#context.log.endOffset(keyedTopic(this.keyedLog.name), this.partition)
  }

  async #handOver({ view, worker }: Backfill): Promise<void> {
    await this.#join(view.version, worker.markers)
    this.#backfills = this.#backfills.filter((other) => other.view !== view)
    await this.#openLive()
  }

  /** A keyed log with nothing in it: its first views are live from the start. */
  async #begin(): Promise<void> {
    const { keyedLog, partition } = this
    const { log, online, registry } = this.#context
    if ((await log.endOffset(keyedTopic(keyedLog.name), partition)) > 0) return
    const absent = [...(await this.#markers())].flatMap(([bucket, marker]) => (marker === null ? [bucket] : []))
    if (absent.length === 0) return
    const views = await registry.viewSets.save(keyedLog.views.map(({ version }) => version))
    await online.claim(keyedLog.name, absent, { incarnation: this.#incarnation, views })
  }

  /** A join or leave that was cut short is finished: towards what is wanted now. */
  async #settleBuckets(): Promise<void> {
    const markers = await this.#markers()
    const sets = await Promise.all([...markers.values()].map((marker) => this.#viewsOf(marker)))
    const some = new Set(sets.flatMap((set) => [...set]))
    for (const version of some) {
      if (sets.every((set) => set.has(version))) continue
      if (this.#wants(version)) {
        const { partition, keyedLog } = this
        const lacking = bucketsOf(this.#context, partition).filter((_, i) => !sets[i].has(version))
        const owner = { incarnation: this.#incarnation, views: version }
        const own = await this.#context.online.claim(keyedLog.name, lacking, owner, version)
        await this.#join(version, new Map(lacking.map((bucket, i) => [bucket, own[i]])))
      } else await this.#leave(version)
    }
  }

  async #leaveUnwanted(): Promise<void> {
    const [marker] = (await this.#markers()).values()
    for (const version of await this.#viewsOf(marker)) if (!this.#wants(version)) await this.#leave(version)
  }

  async #openLive(): Promise<void> {
    const { keyedLog, partition } = this
    const [marker] = (await this.#markers()).values()
    const covered = await this.#viewsOf(marker)
    const views = keyedLog.views.filter(({ version }) => covered.has(version))
    this.#live =
      marker === null || views.length === 0
        ? null
        : await PartitionWorker.claim(this.#context, { keyedLog, partition, views, covers: marker.views })
  }

  async #openBackfills(): Promise<void> {
    const { keyedLog, partition } = this
    const [marker] = (await this.#markers()).values()
    const covered = await this.#viewsOf(marker)
    const missing = keyedLog.views.filter(({ version }) => !covered.has(version))
    if (missing.length === 0) return
    const place = { keyedLog: keyedLog.name, incarnation: this.#incarnation, partition }
    const archive = new ArchiveReader(this.#context, place, keyedLog.source.fields)
    for (const view of missing) {
      const { version } = view
      await this.#dropLeftovers(version)
      const scope = { keyedLog, partition, views: [view], covers: version, backfill: version, archive }
      this.#backfills.push({ view, worker: await PartitionWorker.claim(this.#context, scope) })
    }
  }

  /** States of a version without a marker are what an interrupted drop left: a backfill from the beginning must not add to them. */
  async #dropLeftovers(version: string): Promise<void> {
    const { keyedLog, partition } = this
    const buckets = bucketsOf(this.#context, partition)
    const own = await this.#context.online.markers(keyedLog.name, buckets, version)
    const unmarked = buckets.filter((_, i) => own[i] === null)
    if (unmarked.length > 0) await this.#context.online.dropView(keyedLog.name, version, unmarked)
  }

  /** Joins a version in the buckets that have a marker of its own here, each in one change. TM_STREAM_FENCED if another worker was there first. */
  async #join(version: string, own: ReadonlyMap<number, Marker>): Promise<void> {
    const moves = await this.#moves(version, [...own.keys()], (set) => [...set, version])
    const outcomes = await this.#context.online.join(
      moves.map((move) => ({ ...move, epoch: own.get(move.bucket)?.epoch })),
    )
    this.#check(outcomes)
  }

  async #leave(version: string): Promise<void> {
    const moves = await this.#moves(version, bucketsOf(this.#context, this.partition), (set) =>
      [...set].filter((other) => other !== version),
    )
    this.#check(await this.#context.online.leave(moves))
  }

  /** The move of a version in those of the buckets that it changes. */
  async #moves(
    version: string,
    buckets: readonly number[],
    change: (set: ReadonlySet<string>) => string[],
  ): Promise<ViewMove[]> {
    const markers = await this.#markers()
    const moves: ViewMove[] = []
    for (const bucket of buckets) {
      const marker = markers.get(bucket) ?? null
      const before = await this.#viewsOf(marker)
      const after = change(before)
      if (after.length === before.size) continue
      const views = await this.#context.registry.viewSets.save(after)
      const live = marker === null ? null : { epoch: marker.epoch, views: marker.views }
      moves.push({ keyedLog: this.keyedLog.name, bucket, view: version, live, views })
    }
    return moves
  }

  #check(outcomes: readonly FlushOutcome[]): void {
    const refused = outcomes.find((outcome) => outcome !== 'applied')
    if (refused === undefined) return
    throw failStream(
      'TM_STREAM_FENCED',
      `${this.keyedLog.name}, partition ${this.partition}: a change of its live views was refused (${refused}); another worker owns it now`,
    )
  }

  #wants(version: string): boolean {
    return this.keyedLog.views.some((view) => view.version === version)
  }

  async #viewsOf(marker: Marker | null): Promise<ReadonlySet<string>> {
    return this.#context.registry.viewSets.read(marker?.views ?? '')
  }

  /** The live markers of the partition's buckets. */
  async #markers(): Promise<ReadonlyMap<number, Marker | null>> {
    const buckets = bucketsOf(this.#context, this.partition)
    const markers = await this.#context.online.markers(this.keyedLog.name, buckets)
    return new Map(buckets.map((bucket, i) => [bucket, markers[i]]))
  }
}
