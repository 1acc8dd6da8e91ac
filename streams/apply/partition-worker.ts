import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import { ViewKernel } from '../../features/kernel/view-kernel.ts'
import { bucketOf, entityName, entityNamesOfBatch, partitionOf } from '../../features/values/entity-key.ts'
import type { BatchNames } from '../../features/values/entity-key.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { LogRecord } from '../../stores/log/log.ts'
import type { FlushJournal } from '../../stores/online/flush-journal.ts'
import type { BucketFlush, FlushOutcome, Marker, StateWrite } from '../../stores/online/online-store.ts'
import type { ArchiveReader } from '../archive/archive-reader.ts'
import { EntityCache } from './entity-cache.ts'
import type { CachedEntity } from './entity-cache.ts'
import { failStream } from '../errors.ts'
import { countExpiredKeys } from './expired-keys.ts'
import { flushTogether } from './flush-round.ts'
import type { PendingFlush } from './flush-round.ts'
import { recordFunctionFailures } from './function-failures.ts'
import { entityColumns } from '../ingest/keyed-append.ts'
import { acceptBlock, readKeyedRecord } from '../blocks/keyed-reader.ts'
import { KeySweep } from './key-sweep.ts'
import { OriginFilter } from '../blocks/origin-filter.ts'
import type { PlacedBlock, RecentBlocks } from '../blocks/recent-blocks.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const FETCH_BYTES = 2 << 20
/** A flush is put off while more is known to come: an entity is then written once for many of its events. What is not yet in the store is bounded in memory, and in time. */
const HELD_EVENTS_MAX = 100_000
const HELD_ENTITIES_MAX = 25_000
const HELD_MS_MAX = 3000
/** Decoded states kept in memory per partition. */
const CACHE_LIMITS = { entities: 100_000, tiles: 4_000_000 }
/** After this many flushes the markers of buckets without events are advanced too: what a restart reads again stays short. */
const IDLE_FLUSHES_MAX = 64

interface Bucket {
  readonly number: number
  marker: Marker
  /** Entities touched since the last flush. */
  readonly touched: Set<CachedEntity>
}

const NO_ORIGINS = new Uint8Array(0)

/** Of offsets below `until`; with `hold` flushes may be put off. */
export interface FetchOptions {
  readonly until?: number
  readonly hold?: boolean
}

/** Which states of a keyed partition a worker writes. */
export interface WorkerScope {
  readonly keyedLog: KeyedLog
  readonly partition: number
  /** The view versions that one marker covers: the live set, or the one version whose own marker it is. */
  readonly views: readonly CompiledView[]
  /** What the marker says it covers (see `Marker.views`). */
  readonly covers: string
  /** A version outside the live set: it is caught up by its own marker. */
  readonly backfill?: string
  /** Read first, where it reaches further than the position. */
  readonly archive?: ArchiveReader
  /** Asked before the log is. */
  readonly recent?: RecentBlocks | null
  /** Of a live set: told of every flush with events before the next one. */
  readonly journal?: FlushJournal
}

/**
 * Owns one keyed partition for one marker scope: its buckets' markers and the states of its entities. A flush writes the buckets with events; markers of
 * idle ones are advanced now and then, and where the partition is read to its end. So markers differ: a new owner reads from the smallest on, and each
 * bucket drops what lies below its own.
 */
export class PartitionWorker {
  readonly #context: StreamContext
  readonly #scope: WorkerScope
  readonly #kernels: readonly ViewKernel[]
  readonly #cache: EntityCache
  readonly #buckets: ReadonlyMap<number, Bucket>
  #filter: OriginFilter
  #nextOffset: number
  #sweep: KeySweep | null = null
  #flushes = 0
  /** Since the last flush: events applied, entities touched, and when it was, by a clock of this process. */
  #unflushed = 0
  #touched = 0
  #flushedAtMs = performance.now()
  /** Which buckets the next flush writes: those with events, all that lie behind, or, null, it is put off. */
  #due: 'events' | 'all' | null = null

  private constructor(context: StreamContext, scope: WorkerScope, markers: ReadonlyMap<number, Marker>) {
    this.#context = context
    this.#scope = scope
    this.#kernels = scope.views.map((view) => new ViewKernel(view))
    this.#cache = new EntityCache(this.#kernels, CACHE_LIMITS)
    this.#buckets = new Map([...markers].map(([number, marker]) => [number, { number, marker, touched: new Set() }]))
    const oldest = [...markers.values()].reduce((a, b) => (b.nextOffset < a.nextOffset ? b : a))
    this.#nextOffset = oldest.nextOffset
    // The high-waters at the offset that is read first: those of a later marker would drop events that an older bucket lacks.
    this.#filter = OriginFilter.decode(oldest.origins)
  }

  /** A worker on markers, one per bucket, that the caller has claimed. TM_STREAM_FENCED if they cover other views. */
  static open(context: StreamContext, scope: WorkerScope, markers: ReadonlyMap<number, Marker>): PartitionWorker {
    if ([...markers.values()].some(({ views }) => views !== scope.covers)) throw fenced(scope, 'other-views')
    return new PartitionWorker(context, scope, markers)
  }

  /** Events below this offset were applied; in the store's states once `settle` is through. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get markers(): ReadonlyMap<number, Marker> {
    return new Map([...this.#buckets.values()].map(({ number, marker }) => [number, marker]))
  }

  /**
   * One fetch, of offsets below `until`, flushed; with `hold` (more is known to come) only now and then, and where the log ends. Returns how many events
   * were applied. TM_STREAM_FENCED: another worker owns the partition.
   */
  async runOnce(options: FetchOptions = {}): Promise<number> {
    const applied = await this.applyOnce(options)
    await this.#flush(false)
    return applied
  }

  /** The same, with the flush left to the caller, who may make one of several partitions': `takeFlush`, then `flushed`, before anything else is asked of the worker. */
  async applyOnce({ until = Infinity, hold = false }: FetchOptions = {}): Promise<number> {
    const archived = (await this.#scope.archive?.read(this.#nextOffset, until)) ?? null
    if (archived !== null) {
      if (archived.batch !== null) await this.#apply(archived.batch)
      if (archived.origins !== null) this.#filter = OriginFilter.decode(archived.origins)
      this.#nextOffset = archived.nextOffset
      this.#due = 'events'
      return archived.batch?.length ?? 0
    }
    const records = (await this.#fetch()).filter(({ offset }) => offset < until)
    const { keyedLog, partition } = this.#scope
    const where = `${keyedTopic(keyedLog.name)}/${partition}`
    let applied = 0
    try {
      for (const record of records) {
        const batch =
          'block' in record
            ? acceptBlock(record, this.#filter, where)
            : readKeyedRecord(record, keyedLog.source.fields, this.#filter, where)
        if (batch !== null) await this.#apply(batch)
        applied += batch?.length ?? 0
        this.#nextOffset = record.offset + 1
      }
    } catch (error) {
      // What came before the record that cannot be applied counts.
      await this.#flush(true)
      throw error
    }
    this.#unflushed += applied
    if (records.length === 0) this.#due = 'all'
    else if (!hold || this.#isHeldLong()) this.#due = 'events'
    return applied
  }

  async #fetch(): Promise<readonly (PlacedBlock | LogRecord)[]> {
    const { keyedLog, partition, recent } = this.#scope
    const topic = keyedTopic(keyedLog.name)
    const blocks = recent?.take(topic, partition, this.#nextOffset) ?? []
    if (blocks.length > 0) return blocks
    return this.#context.log.read(topic, partition, this.#nextOffset, FETCH_BYTES)
  }

  #isHeldLong(): boolean {
    if (this.#unflushed >= HELD_EVENTS_MAX || this.#touched >= HELD_ENTITIES_MAX) return true
    return performance.now() - this.#flushedAtMs >= HELD_MS_MAX
  }

  /** Flushes what was applied and advances the markers of all buckets to `nextOffset`. */
  async settle(): Promise<void> {
    await this.#flush(true)
  }

  /**
   * Deletes states that read MISSING from now on for ever, of up to `keysMax` that it looks at; an event that comes later begins anew, with the same values. Returns how many; null:
   * everything was looked at, the next call begins anew. Nothing is deleted while events of the bucket wait to be flushed. TM_STREAM_FENCED.
   */
  async sweep(now: number, keysMax: number): Promise<number | null> {
    const { keyedLog, partition, views } = this.#scope
    this.#sweep ??= new KeySweep(this.#context.online, keyedLog.name, [...this.#buckets.keys()], this.#kernels)
    const found = await this.#sweep.next(now, keysMax)
    if (found === null) return null
    const bucket = this.#bucket(found.bucket)
    const { version, plan } = views[found.view]
    if (found.expired.length === 0 || bucket.touched.size > 0) return 0
    for (const key of found.expired) this.#cache.drop(entityName(keyedLog.entity, key))
    const { nextOffset, origins } = bucket.marker
    const writes = found.expired.map((key): StateWrite => ({ view: version, key, state: null }))
    const [outcome] = await this.#context.online.flush([{ ...this.#bucketFlush(bucket, nextOffset, origins), writes }])
    if (outcome !== 'applied') throw fenced(this.#scope, outcome)
    const place = { version, view: plan.name, keyedPartition: `${keyedLog.name}/${partition}` }
    await countExpiredKeys(this.#context.metadata, place, writes.length)
    return writes.length
  }

  /**
   * Whether the markers are as this worker left them: a store that lost what it had acknowledged rolls them back, which no flush would tell while no event comes. TM_STREAM_FENCED if not.
   */
  async check(): Promise<void> {
    const { keyedLog, backfill } = this.#scope
    const held = [...this.#buckets.values()]
    const found = await this.#context.online.markers(keyedLog.name, [...this.#buckets.keys()], backfill)
    for (const [i, { marker }] of held.entries()) {
      if (found[i]?.epoch !== marker.epoch) throw fenced(this.#scope, 'stale-epoch')
      if (found[i].nextOffset !== marker.nextOffset) throw fenced(this.#scope, 'other-offset')
    }
  }

  async #apply(batch: EventBatch): Promise<void> {
    const { source, entity } = this.#scope.keyedLog
    const keys = entityNamesOfBatch(entity, entityColumns(source, entity, batch.columns), batch.length)
    const { keyOf } = keys
    const entities = await this.#load(keys)
    const appliedBelow = Float64Array.from(entities, ({ bucket }) => this.#bucket(bucket).marker.nextOffset)
    const slots = new Int32Array(batch.length)
    this.#cache.tables.forEach((table, view) => {
      for (let i = 0; i < slots.length; i++) {
        const key = keyOf[i]
        slots[i] = key < 0 || batch.offset[i] < appliedBelow[key] ? -1 : entities[key].slots[view]
      }
      table.apply(this.#kernels[view].prepare(batch), slots)
    })
  }

  /** Entities, read from the store where they are not in memory, and marked touched. */
  async #load({ names, keyBytes }: BatchNames): Promise<CachedEntity[]> {
    const entities: CachedEntity[] = []
    const missing: number[] = []
    for (let at = 0; at < names.length; at++) {
      const entity = this.#cache.use(names[at], this.#flushes)
      if (entity === undefined) missing.push(at)
      else entities[at] = entity
    }
    if (missing.length > 0) {
      const keyedLog = this.#scope.keyedLog.name
      const views = this.#scope.views.map(({ version }) => version)
      const places = missing.map((at) => {
        const key = keyBytes(at)
        return { key, bucket: bucketOf(key, this.#context.buckets) }
      })
      const results = await this.#context.online.read(
        places.map(({ key, bucket }) => ({ keyedLog, bucket, keys: views.map((view) => ({ view, key })) })),
      )
      missing.forEach((at, i) => {
        entities[at] = this.#cache.add(names[at], { ...places[i], states: results[i].states }, this.#flushes)
      })
    }
    for (const entity of entities) {
      const { touched } = this.#bucket(entity.bucket)
      const before = touched.size
      touched.add(entity)
      this.#touched += touched.size - before
    }
    return entities
  }

  /** Entities that a flush that is due would write. */
  get dueEntities(): number {
    return this.#due === null ? 0 : this.#touched
  }

  /** What is to be flushed now: the buckets with events; all that lie behind with `settle`, at the log's end, or if that has not been done for long. */
  takeFlush(settle: boolean): PendingFlush | null {
    if (this.#due === null && !settle) return null
    const nextOffset = this.#nextOffset
    const all = settle || this.#due === 'all' || ++this.#flushes % IDLE_FLUSHES_MAX === 0
    this.#due = null
    // A bucket that is ahead of what was read had nothing applied, and its marker must not go back.
    const buckets = [...this.#buckets.values()].filter(
      ({ touched, marker }) => marker.nextOffset < nextOffset && (all || touched.size > 0),
    )
    const origins = buckets.length === 0 ? NO_ORIGINS : this.#filter.encode()
    return {
      flushes: buckets.map((bucket) => this.#bucketFlush(bucket, nextOffset, origins)),
      journal: this.#scope.journal,
      epochs: new Map(
        buckets.flatMap(({ number, marker, touched }) => (touched.size > 0 ? [[number, marker.epoch]] : [])),
      ),
    }
  }

  /** Takes note of what became of what `takeFlush` gave. TM_STREAM_FENCED where that was refused. */
  async flushed({ flushes }: PendingFlush, outcome: FlushOutcome): Promise<void> {
    if (outcome !== 'applied') throw fenced(this.#scope, outcome)
    for (const { bucket: number, nextOffset, origins } of flushes) {
      const bucket = this.#bucket(number)
      bucket.marker = { ...bucket.marker, nextOffset, origins }
      for (const entity of bucket.touched) this.#cache.markStored(entity)
      bucket.touched.clear()
    }
    const { keyedLog, partition } = this.#scope
    for (const kernel of this.#kernels)
      await recordFunctionFailures(this.#context.metadata, `${keyedLog.name}/${partition}`, kernel)
    this.#unflushed = 0
    this.#touched = 0
    this.#flushedAtMs = performance.now()
    this.#cache.trim()
  }

  async #flush(settle: boolean): Promise<void> {
    const pending = this.takeFlush(settle)
    if (pending === null) return
    const [outcome] = await flushTogether(this.#context, [pending])
    await this.flushed(pending, outcome)
  }

  #bucketFlush({ number, marker, touched }: Bucket, nextOffset: number, origins: Uint8Array): BucketFlush {
    return {
      keyedLog: this.#scope.keyedLog.name,
      bucket: number,
      backfill: this.#scope.backfill,
      epoch: marker.epoch,
      views: marker.views,
      expectedOffset: marker.nextOffset,
      nextOffset,
      origins,
      writes: [...touched].flatMap((entity) => this.#writes(entity)),
    }
  }

  #writes({ key, slots }: CachedEntity): StateWrite[] {
    return this.#cache.tables.flatMap((table, view) => {
      if (!table.isChanged(slots[view])) return []
      return [{ view: this.#scope.views[view].version, key, state: table.encodeChange(slots[view]) }]
    })
  }

  #bucket(number: number): Bucket {
    const bucket = this.#buckets.get(number)
    if (bucket !== undefined) return bucket
    const { keyedLog, partition } = this.#scope
    throw failStream(
      'TM_STREAM_BUCKETS',
      `${keyedLog.name}, partition ${partition} holds an event of bucket ${number}, which belongs to another partition: the log was written with another number of buckets; set \`buckets\` back to what it was`,
    )
  }
}

/** The buckets of a keyed partition. */
export function bucketsOf({ buckets, partitions }: StreamContext, partition: number): number[] {
  return Array.from({ length: buckets }, (_, bucket) => bucket).filter(
    (bucket) => partitionOf(bucket, partitions) === partition,
  )
}

function fenced({ keyedLog, partition }: WorkerScope, refused: FlushOutcome): Error {
  return failStream(
    'TM_STREAM_FENCED',
    `${keyedLog.name}, partition ${partition}: refused (${refused}); another worker owns it now`,
  )
}
