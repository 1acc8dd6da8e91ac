import { StateTable } from '../features/kernel/state-table.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import { bucketOf, entityKeysOfBatch, partitionOf } from '../features/values/entity-key.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import type { KeyedLog } from '../registry/registry.ts'
import type { BucketFlush, Marker, StateWrite } from '../stores/online/online-store.ts'
import { failStream } from './errors.ts'
import { entityColumns } from './keyed-append.ts'
import { readKeyedRecord } from './keyed-reader.ts'
import { OriginFilter } from './origin-filter.ts'
import { onlineNamespace, viewsHash } from '../inference/online-namespace.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 2 << 20
/** Decoded entities kept in memory per partition; beyond it the cache starts anew after a flush. */
const CACHED_ENTITIES_MAX = 100_000

/** Keyed logs → online states: the fenced, atomic flush of entity states and marker. */
export class ApplyRole {
  readonly #context: StreamContext
  readonly #workers = new Map<string, PartitionWorker[]>()

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** One fetch and flush of every partition. Returns how many events were applied. */
  async runOnce(): Promise<number> {
    let applied = 0
    for (const keyedLog of await this.#context.registry.keyedLogs()) {
      for (const worker of await this.#workersOf(keyedLog)) applied += await worker.runOnce()
    }
    return applied
  }

  async #workersOf(keyedLog: KeyedLog): Promise<PartitionWorker[]> {
    const namespace = onlineNamespace(keyedLog)
    const held = this.#workers.get(namespace)
    if (held !== undefined) return held
    const workers: PartitionWorker[] = []
    for (let partition = 0; partition < this.#context.partitions; partition++) {
      workers.push(await PartitionWorker.claim(this.#context, keyedLog, partition))
    }
    this.#workers.set(namespace, workers)
    return workers
  }
}

interface Bucket {
  readonly number: number
  marker: Marker
  /** Keys touched since the last flush, by their text form. */
  readonly dirty: Map<string, Uint8Array>
}

/** Owns one keyed partition: its buckets' markers and the states of its entities. */
class PartitionWorker {
  readonly #context: StreamContext
  readonly #keyedLog: KeyedLog
  readonly #partition: number
  readonly #buckets = new Map<number, Bucket>()
  readonly #kernels: readonly ViewKernel[]
  #tables: StateTable[]
  /** Slot of an entity in every view's table, by the key's text form. */
  #slots = new Map<string, Int32Array>()
  #filter = new OriginFilter()
  #nextOffset = 0

  private constructor(context: StreamContext, keyedLog: KeyedLog, partition: number) {
    this.#context = context
    this.#keyedLog = keyedLog
    this.#partition = partition
    this.#kernels = keyedLog.views.map((view) => new ViewKernel(view))
    this.#tables = this.#kernels.map((kernel) => new StateTable(kernel))
  }

  static async claim(context: StreamContext, keyedLog: KeyedLog, partition: number): Promise<PartitionWorker> {
    const worker = new PartitionWorker(context, keyedLog, partition)
    const topic = await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
    const numbers = Array.from({ length: context.buckets }, (_, bucket) => bucket).filter(
      (bucket) => partitionOf(bucket, context.partitions) === partition,
    )
    const markers = await context.online.claim(onlineNamespace(keyedLog), numbers, {
      incarnation: topic.incarnation,
      views: viewsHash(keyedLog),
    })
    numbers.forEach((number, i) => worker.#buckets.set(number, { number, marker: markers[i], dirty: new Map() }))
    // All buckets of a partition are flushed together, in one transaction, so their markers agree.
    worker.#nextOffset = Math.min(...markers.map((marker) => marker.nextOffset))
    worker.#filter = OriginFilter.decode(markers[0].origins)
    return worker
  }

  async runOnce(): Promise<number> {
    const { log } = this.#context
    const topic = keyedTopic(this.#keyedLog.name)
    const records = await log.read(topic, this.#partition, this.#nextOffset, FETCH_BYTES)
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
    const views = this.#keyedLog.views.map(({ version }) => version)
    const reads = missing.map(({ key, bucket }) => ({
      keyedLog: onlineNamespace(this.#keyedLog),
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
      keyedLog: onlineNamespace(this.#keyedLog),
      bucket: number,
      epoch: marker.epoch,
      views: marker.views,
      expectedOffset: marker.nextOffset,
      nextOffset,
      origins,
      writes: [...dirty].flatMap(([name, key]) => this.#writes(name, key)),
    }))
    const outcomes = await this.#context.online.flush(flushes)
    const refused = outcomes.find((outcome) => outcome !== 'applied')
    if (refused !== undefined) {
      throw failStream(
        'TM_STREAM_FENCED',
        `${this.#keyedLog.name}, partition ${this.#partition}: the flush was refused (${refused}); another worker owns it now`,
      )
    }
    for (const bucket of this.#buckets.values()) {
      bucket.marker = { ...bucket.marker, nextOffset, origins }
      bucket.dirty.clear()
    }
    this.#nextOffset = nextOffset
    if (this.#slots.size > CACHED_ENTITIES_MAX) {
      this.#slots = new Map()
      this.#tables = this.#kernels.map((kernel) => new StateTable(kernel))
    }
  }

  #writes(name: string, key: Uint8Array): StateWrite[] {
    const slots = this.#slots.get(name) ?? failSlot(name)
    return this.#tables.flatMap((table, view) => {
      if (table.newestTau(slots[view]) === -Infinity) return []
      return [{ view: this.#keyedLog.views[view].version, key, state: table.encode(slots[view]) }]
    })
  }
}

function failSlot(name: string): never {
  throw new Error(`no state slot for entity key ${JSON.stringify(name)}`)
}
