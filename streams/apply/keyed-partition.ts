import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { FlushJournal } from '../../stores/online/flush-journal.ts'
import type { FlushOutcome, Marker, ViewMove } from '../../stores/online/online-store.ts'
import type { PendingFlush } from './flush-round.ts'
import { bucketsOf, PartitionWorker } from './partition-worker.ts'
import { ArchiveReader } from '../archive/archive-reader.ts'
import { failStream } from '../errors.ts'
import type { RecentBlocks } from '../blocks/recent-blocks.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** Fetches of one backfill step, against one of the live set: so that a backfill gains on a live set that never rests. */
const BACKFILL_FETCHES = 4

/** A view version on its way into the live set of a keyed partition. */
interface Backfill {
  readonly view: CompiledView
  readonly worker: PartitionWorker
}

interface OwnedPlace {
  readonly keyedLog: KeyedLog
  readonly partition: number
  readonly incarnation: string
  readonly recent: RecentBlocks | null
  readonly journal: FlushJournal
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
  readonly #recent: RecentBlocks | null
  readonly #journal: FlushJournal
  /** The live markers as this owner claimed and then changed them, never as another left them later; null: there is none yet. */
  readonly #markers = new Map<number, Marker | null>()
  #live: PartitionWorker | null = null
  #backfills: Backfill[] = []

  private constructor(context: StreamContext, place: OwnedPlace) {
    this.#context = context
    this.keyedLog = place.keyedLog
    this.partition = place.partition
    this.#incarnation = place.incarnation
    this.#recent = place.recent
    this.#journal = place.journal
  }

  /** Takes the partition over for exactly the views that the keyed log names. Those without history to replay are live at once. */
  static async claim(
    context: StreamContext,
    keyedLog: KeyedLog,
    partition: number,
    recent: RecentBlocks | null = null,
  ): Promise<KeyedPartition> {
    const topic = await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
    const journal = await FlushJournal.open(context, keyedLog.name, { partition, partitions: context.partitions })
    const owned = new KeyedPartition(context, { keyedLog, partition, incarnation: topic.incarnation, recent, journal })
    await owned.#claimLive()
    await owned.#settleBuckets()
    await owned.#leaveUnwanted()
    await owned.#openLive()
    await owned.#openBackfills()
    while (await owned.#joinNext());
    return owned
  }

  /** One fetch of the live set, flushed unless `hold` (see `PartitionWorker.runOnce`). Returns how many events were applied. */
  async runOnce(hold: boolean = false): Promise<number> {
    return (await this.#live?.runOnce({ hold })) ?? 0
  }

  /** The same in memory only: what is to be flushed then, `takeFlush` gives (see `PartitionWorker`). */
  async applyOnce(hold: boolean): Promise<number> {
    return (await this.#live?.applyOnce({ hold })) ?? 0
  }

  /** Entities that a flush that is due would write. */
  get dueEntities(): number {
    return this.#live?.dueEntities ?? 0
  }

  /** What is due; with `settle` all that was applied. Null: nothing. */
  takeFlush(settle: boolean): PendingFlush | null {
    return this.#live?.takeFlush(settle) ?? null
  }

  /** Takes note of what became of `takeFlush`. TM_STREAM_FENCED. */
  async flushed(pending: PendingFlush, outcome: FlushOutcome): Promise<void> {
    await this.#live?.flushed(pending, outcome)
  }

  /** See `PartitionWorker.sweep`; null also where nothing is live. */
  async sweep(now: number, keysMax: number): Promise<number | null> {
    return (await this.#live?.sweep(now, keysMax)) ?? null
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
    return (await this.#joinNext()) ? moved + 1 : moved
  }

  /** Hands the next backfill over, if it stands where the live set stands. */
  async #joinNext(): Promise<boolean> {
    const next = this.#backfills[0]
    if (next === undefined || next.worker.nextOffset < (await this.#target())) return false
    // A version joins where both markers of a bucket are equal: idle buckets may lie behind, and the version may have come further than the live set.
    await this.#live?.settle()
    await next.worker.settle()
    const own = next.worker.markers
    for (const [bucket, marker] of this.#live?.markers ?? []) this.#markers.set(bucket, marker)
    const live = this.#live?.markers ?? own
    if ([...own].some(([bucket, { nextOffset }]) => live.get(bucket)?.nextOffset !== nextOffset)) return false
    await this.#join(next.view.version, own)
    this.#backfills.shift()
    await this.#openLive()
    return true
  }

  /** Where a backfill must stand to join: where the live set stands; the end of the log if that is empty. */
  async #target(): Promise<number> {
    return this.#live?.nextOffset ?? this.#context.log.endOffset(keyedTopic(this.keyedLog.name), this.partition)
  }

  /** See `PartitionWorker.check`. */
  async check(): Promise<void> {
    await this.#live?.check()
    for (const { worker } of this.#backfills) await worker.check()
  }

  /** Bumps the epochs of all live markers: from here on nobody else flushes, so that no live set moves while versions join and leave bucket by bucket. */
  async #claimLive(): Promise<void> {
    const { online } = this.#context
    const buckets = bucketsOf(this.#context, this.partition)
    const held = await online.markers(this.keyedLog.name, buckets)
    for (const bucket of buckets) this.#markers.set(bucket, null)
    const made = buckets.filter((_, i) => held[i] !== null)
    const markers = await online.claim(this.keyedLog.name, made, { incarnation: this.#incarnation, views: '' })
    made.forEach((bucket, i) => this.#markers.set(bucket, markers[i]))
    await this.#record(made)
  }

  /** A join or leave that was cut short is finished: towards what is wanted now. */
  async #settleBuckets(): Promise<void> {
    const sets = await Promise.all([...this.#markers.values()].map((marker) => this.#viewsOf(marker)))
    const some = new Set(sets.flatMap((set) => [...set]))
    for (const version of some) {
      if (sets.every((set) => set.has(version))) continue
      if (this.#wants(version)) {
        const lacking = [...this.#markers.keys()].filter((_, i) => !sets[i].has(version))
        await this.#join(version, await this.#claimBackfill(version, lacking))
      } else await this.#leave(version)
    }
  }

  async #leaveUnwanted(): Promise<void> {
    for (const version of await this.#covered()) if (!this.#wants(version)) await this.#leave(version)
  }

  async #openLive(): Promise<void> {
    const { keyedLog, partition } = this
    const covered = await this.#covered()
    const views = keyedLog.views.filter(({ version }) => covered.has(version))
    const markers = new Map(
      [...this.#markers].flatMap(([bucket, marker]) => (marker === null ? [] : [[bucket, marker]])),
    )
    const covers = [...markers.values()][0]?.views ?? ''
    const scope = { keyedLog, partition, views, covers, recent: this.#recent, journal: this.#journal }
    this.#live = views.length === 0 ? null : PartitionWorker.open(this.#context, scope, markers)
  }

  async #openBackfills(): Promise<void> {
    const { keyedLog, partition } = this
    const covered = await this.#covered()
    const missing = keyedLog.views.filter(({ version }) => !covered.has(version))
    if (missing.length === 0) return
    const place = { keyedLog: keyedLog.name, incarnation: this.#incarnation, partition }
    const archive = new ArchiveReader(this.#context, place, keyedLog.source.fields)
    for (const view of missing) {
      const { version } = view
      const own = await this.#claimBackfill(version, [...this.#markers.keys()])
      const scope = { keyedLog, partition, views: [view], covers: version, backfill: version, archive }
      this.#backfills.push({ view, worker: PartitionWorker.open(this.#context, scope, own) })
    }
  }

  /** Takes a version's own markers over. TM_STREAM_FENCED where another has claimed the live set since. */
  async #claimBackfill(view: string, buckets: readonly number[]): Promise<ReadonlyMap<number, Marker>> {
    const place = { keyedLog: this.keyedLog.name, view, incarnation: this.#incarnation }
    const claims = buckets.map((bucket) => ({ ...place, bucket, live: this.#markers.get(bucket)?.epoch ?? null }))
    const markers = await this.#context.online.claimBackfill(claims)
    const own = new Map<number, Marker>()
    markers.forEach((marker, i) => {
      if (marker === null) throw this.#fenced('stale-epoch')
      own.set(buckets[i], marker)
    })
    return own
  }

  /** Joins a version in the buckets of its own markers, each in one change. TM_STREAM_FENCED if another worker was there first. */
  async #join(version: string, own: ReadonlyMap<number, Marker>): Promise<void> {
    const moves = await this.#moves(version, [...own.keys()], (set) => [...set, version])
    const outcomes = await this.#context.online.join(
      moves.map((move) => ({ ...move, epoch: own.get(move.bucket)?.epoch })),
    )
    this.#check(outcomes)
    for (const { bucket, live, views } of moves) {
      const marker = live === null || live.views === '' ? own.get(bucket) : this.#markers.get(bucket)
      const epoch = Math.max(live?.epoch ?? 0, own.get(bucket)?.epoch ?? 0) + 1
      if (marker !== undefined && marker !== null) this.#markers.set(bucket, { ...marker, views, epoch })
    }
    await this.#record(moves.map(({ bucket }) => bucket))
  }

  async #leave(version: string): Promise<void> {
    const moves = await this.#moves(version, [...this.#markers.keys()], (set) =>
      [...set].filter((other) => other !== version),
    )
    this.#check(await this.#context.online.leave(moves))
    for (const { bucket, views } of moves) {
      const marker = this.#markers.get(bucket)
      if (marker !== undefined && marker !== null)
        this.#markers.set(bucket, { ...marker, views, epoch: marker.epoch + 1 })
    }
    await this.#record(moves.map(({ bucket }) => bucket))
  }

  /** Writes down what the live markers of buckets show, as this owner left them. */
  async #record(buckets: readonly number[]): Promise<void> {
    const epochs = new Map(buckets.map((bucket) => [bucket, this.#markers.get(bucket)?.epoch ?? 0]))
    if (!(await this.#journal.record(epochs))) throw this.#fenced('stale-epoch')
  }

  /** The move of a version in those of the buckets that it changes. */
  async #moves(
    version: string,
    buckets: readonly number[],
    change: (set: ReadonlySet<string>) => string[],
  ): Promise<ViewMove[]> {
    const moves: ViewMove[] = []
    for (const bucket of buckets) {
      const marker = this.#markers.get(bucket) ?? null
      const before = await this.#viewsOf(marker)
      const after = change(before)
      if (new Set(after).size === before.size) continue
      const views = await this.#context.registry.viewSets.save(after)
      const live = marker === null ? null : { epoch: marker.epoch, views: marker.views }
      moves.push({ keyedLog: this.keyedLog.name, bucket, view: version, live, views })
    }
    return moves
  }

  #check(outcomes: readonly FlushOutcome[]): void {
    const refused = outcomes.find((outcome) => outcome !== 'applied')
    if (refused !== undefined) throw this.#fenced(refused)
  }

  #fenced(refused: FlushOutcome): Error {
    return failStream(
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

  /** The live set; all buckets have the same once they are settled. */
  async #covered(): Promise<ReadonlySet<string>> {
    return this.#viewsOf([...this.#markers.values()][0])
  }
}
