import { StateTable } from '../features/kernel/state-table.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { bucketOf, entityKeysOfBatch, partitionOf } from '../features/values/entity-key.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { BucketFlush, FlushOutcome, Marker, StateWrite } from '../stores/online/online-store.ts'
import { failStream } from './errors.ts'
import { entityColumns } from './keyed-append.ts'
import { readKeyedRecord } from './keyed-reader.ts'
import { OriginFilter } from './origin-filter.ts'
import type { ArchiveReader } from './archive-reader.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 2 << 20
/** Decoded entities kept in memory per partition; beyond it the cache starts anew after a flush. */
const CACHED_ENTITIES_MAX = 100_000

interface Bucket {
  readonly number: number
  marker: Marker
  /** Keys touched since the last flush, by their text form. */
  readonly dirty: Map<string, Uint8Array>
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
}

/** Owns one keyed partition for one marker scope: its buckets' markers and the states of its entities. */
export class PartitionWorker {
  readonly #context: StreamContext
  readonly #scope: WorkerScope
  readonly #keyedLog: KeyedLog
  readonly #partition: number
  readonly #buckets = new Map<number, Bucket>()
  readonly #kernels: readonly ViewKernel[]
  #tables: StateTable[]
  /** Slot of an entity in every view's table, by the key's text form. */
  #slots = new Map<string, Int32Array>()
  #filter = new OriginFilter()
  #nextOffset = 0

  private constructor(context: StreamContext, scope: WorkerScope) {
    this.#context = context
    this.#scope = scope
    this.#keyedLog = scope.keyedLog
    this.#partition = scope.partition
    this.#kernels = scope.views.map((view) => new ViewKernel(view))
    this.#tables = this.#kernels.map((kernel) => new StateTable(kernel))
  }

  /** Takes the partition's markers over: from then on the flushes of whoever held them are refused. TM_STREAM_FENCED if they cover other views. */
  static async claim(context: StreamContext, scope: WorkerScope): Promise<PartitionWorker> {
    const worker = new PartitionWorker(context, scope)
    const { keyedLog, covers, backfill } = scope
    const topic = await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
    const numbers = bucketsOf(context, scope.partition)
    const owner = { incarnation: topic.incarnation, views: covers }
    const markers = await context.online.claim(keyedLog.name, numbers, owner, backfill)
    if (markers.some(({ views }) => views !== covers)) throw worker.#fenced('other-views')
    numbers.forEach((number, i) => worker.#buckets.set(number, { number, marker: markers[i], dirty: new Map() }))
    // All buckets of a partition are flushed together, in one transaction, so their markers agree.
    worker.#nextOffset = Math.min(...markers.map((marker) => marker.nextOffset))
    worker.#filter = OriginFilter.decode(markers[0].origins)
    return worker
  }

  /** Events below this offset are in the states. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  get markers(): ReadonlyMap<number, Marker> {
    return new Map([...this.#buckets.values()].map(({ number, marker }) => [number, marker]))
  }

  /** One fetch and flush, of offsets below `until`. Returns how many events were applied. TM_STREAM_FENCED: another worker owns the partition. */
  async runOnce(until: number = Infinity): Promise<number> {
    const { log } = this.#context
    const topic = keyedTopic(this.#keyedLog.name)
    const archived = (await this.#scope.archive?.read(this.#nextOffset, until)) ?? null
    if (archived !== null) {
      if (archived.batch !== null) await this.#apply(archived.batch)
      if (archived.origins !== null) this.#filter = OriginFilter.decode(archived.origins)
      await this.#flush(archived.nextOffset)
      return archived.batch?.length ?? 0
    }
    const fetched = await log.read(topic, this.#partition, this.#nextOffset, FETCH_BYTES)
    const records = fetched.filter(({ offset }) => offset < until)
    if (records.length === 0) return 0
    let applied = 0
    for (const record of records) {
      const batch = readKeyedRecord(record, this.#keyedLog.source.fields, this.#filter, `${topic}/${this.#partition}`)
      if (batch !== null) {
        await this.#apply(batch)
        applied += batch.length
      }
    }
    await this.#flush(records[records.length - 1].offset + 1)
    return applied
  }

  async #apply(batch: EventBatch): Promise<void> {
    const { source, entity } = this.#keyedLog
    const { distinct, keyOf } = entityKeysOfBatch(entity, entityColumns(source, entity, batch.columns), batch.length)
    const slots = await this.#load(distinct)
    this.#tables.forEach((table, view) => {
      const prepared = this.#kernels[view].prepare(batch)
      table.apply(
        prepared,
        Int32Array.from(keyOf, (key) => (key < 0 ? -1 : slots[key][view])),
      )
    })
  }

  /** Slots of entities, read from the store where they are not in memory. Marks them dirty. */
  async #load(keys: readonly Uint8Array[]): Promise<Int32Array[]> {
    const { buckets, online } = this.#context
    const names = keys.map((key) => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1'))
    const numbers = keys.map((key) => bucketOf(key, buckets))
    const missing = keys.flatMap((key, i) =>
      this.#slots.has(names[i]) ? [] : [{ key, name: names[i], bucket: numbers[i] }],
    )
    const views = this.#scope.views.map(({ version }) => version)
    const reads = missing.map(({ key, bucket }) => ({
      keyedLog: this.#keyedLog.name,
      bucket,
      keys: views.map((view) => ({ view, key })),
    }))
    const results = reads.length === 0 ? [] : await online.read(reads)
    results.forEach(({ states }, i) => {
      const slots = Int32Array.from(this.#tables, (table, view) => {
        const slot = table.open()
        const state = states[view]
        if (state !== null) table.decode(slot, state)
        return slot
      })
      this.#slots.set(missing[i].name, slots)
    })
    return keys.map((key, i) => {
      this.#buckets.get(numbers[i])?.dirty.set(names[i], key)
      return this.#slots.get(names[i]) ?? failSlot(names[i])
    })
  }

  async #flush(nextOffset: number): Promise<void> {
    const origins = this.#filter.encode()
    const flushes: BucketFlush[] = [...this.#buckets.values()].map(({ number, marker, dirty }) => ({
      keyedLog: this.#keyedLog.name,
      bucket: number,
      backfill: this.#scope.backfill,
      epoch: marker.epoch,
      views: marker.views,
      expectedOffset: marker.nextOffset,
      nextOffset,
      origins,
      writes: [...dirty].flatMap(([name, key]) => this.#writes(name, key)),
    }))
    const outcomes = await this.#context.online.flush(flushes)
    const refused = outcomes.find((outcome) => outcome !== 'applied')
    if (refused !== undefined) throw this.#fenced(refused)
    for (const bucket of this.#buckets.values()) {
      bucket.marker = { ...bucket.marker, nextOffset, origins }
      for (const name of bucket.dirty.keys()) this.#markStored(name)
      bucket.dirty.clear()
    }
    this.#nextOffset = nextOffset
    if (this.#slots.size > CACHED_ENTITIES_MAX) {
      this.#slots = new Map()
      this.#tables = this.#kernels.map((kernel) => new StateTable(kernel))
    }
  }

  #fenced(refused: FlushOutcome): Error {
    return failStream(
      'TM_STREAM_FENCED',
      `${this.#keyedLog.name}, partition ${this.#partition}: refused (${refused}); another worker owns it now`,
    )
  }

  #markStored(name: string): void {
    const slots = this.#slots.get(name) ?? failSlot(name)
    this.#tables.forEach((table, view) => table.markStored(slots[view]))
  }

  #writes(name: string, key: Uint8Array): StateWrite[] {
    const slots = this.#slots.get(name) ?? failSlot(name)
    return this.#tables.flatMap((table, view) => {
      if (table.newestTau(slots[view]) === -Infinity) return []
      return [{ view: this.#scope.views[view].version, key, state: table.encodeChange(slots[view]) }]
    })
  }
}

/** The buckets of a keyed partition. */
export function bucketsOf({ buckets, partitions }: StreamContext, partition: number): number[] {
  return Array.from({ length: buckets }, (_, bucket) => bucket).filter(
    (bucket) => partitionOf(bucket, partitions) === partition,
  )
}

function failSlot(name: string): never {
  throw new Error(`no state slot for entity key ${JSON.stringify(name)}`)
}
