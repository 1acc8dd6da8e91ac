import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BucketChanges } from '../../../offline/bucket-changes.ts'
import { flushTopic } from '../../../stores/online/flush-journal.ts'
import { encodeFlushRecord } from '../../../stores/online/flush-record.ts'
import type { FlushRecord } from '../../../stores/online/flush-record.ts'
import { journalPlace, listSegments, segmentName } from '../../../stores/online/journal-segment.ts'
import type { JournalStores } from '../../../stores/online/journal-segment.ts'
import { FlushJournalReader } from '../../../stores/online/read-flush-journal.ts'
import { sealFlushJournals } from '../../../stores/online/seal-journals.ts'
import { openLmdbLog } from '../../../stores/log/lmdb/open.ts'
import { openFileObjects } from '../../../stores/objects/files/open.ts'
import { CARD_SPEND } from '../../support/card-spend.ts'
import { Crash, Fuse } from '../../support/faulty-stores.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const ROUNDS = Number(process.env.TIDEMARK_SEGMENT_ROUNDS ?? 3)
const STEPS = 12
const BUCKETS = 6
const LOG = 'payments.card'
const START = Date.UTC(2024, 0, 1)
const OWNERS = ['a', 'b'].map((views) => ({ incarnation: 'i', views }))

/** Every operation may be the last of a process; others come in between. */
function burning<T extends object>(target: T, fuse: Fuse): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      if (name === 'now') return value.bind(target) as unknown
      return async (...args: unknown[]): Promise<unknown> => {
        await fuse.burn(String(name))
        return (await Reflect.apply(value, target, args)) as unknown
      }
    },
  })
}

/** A journal as owners write it: claims, flushes of some buckets, and now and then a record of the owner before, written down late. */
class Journal {
  readonly written: FlushRecord[] = []
  readonly #stores: JournalStores
  readonly #random: Random
  #time = START
  #epoch = 0
  #offset = 0
  #before: FlushRecord | null = null

  constructor(stores: JournalStores, random: Random) {
    this.#stores = stores
    this.#random = random
  }

  async write(): Promise<void> {
    const batch: FlushRecord[] = []
    if (this.#epoch === 0 || this.#random.below(8) === 0) {
      const late = this.#before
      this.#epoch++
      batch.push({ ...this.#change(), owner: this.#random.pick(OWNERS), buckets: [...Array(BUCKETS).keys()] })
      if (late !== null && this.#random.below(2) === 0) batch.push(late)
    }
    for (let flushes = this.#random.below(4); flushes > 0; flushes--) {
      this.#time += this.#random.below(3)
      this.#offset += 1 + this.#random.below(3)
      const buckets = [...Array(BUCKETS).keys()].filter(() => this.#random.below(2) === 0)
      if (buckets.length > 0) batch.push({ ...this.#change(), owner: null, buckets })
    }
    this.#before = batch.at(-1) ?? this.#before
    this.written.push(...batch)
    await this.#stores.log.append(flushTopic(LOG), 0, batch.map(encodeFlushRecord))
  }

  get newest(): number {
    return this.#time
  }

  #change(): Omit<FlushRecord, 'owner' | 'buckets'> {
    return { epoch: this.#epoch, nextOffset: this.#offset, flushTime: this.#time }
  }
}

/** What each bucket held at each millisecond from `from` on, and of which views. */
function held(records: readonly FlushRecord[], from: number, to: number): string[] {
  const owners = new Map<string, string>()
  const range = { from, to, endOffset: Infinity }
  const changes = Array.from({ length: BUCKETS }, () => new BucketChanges(range))
  for (const { owner, epoch, nextOffset, flushTime, buckets } of records)
    for (const bucket of buckets) {
      if (owner !== null) owners.set(`${bucket}/${epoch}`, owner.views)
      changes[bucket].add({ time: flushTime, epoch, nextOffset, set: 0 })
    }
  const lines: string[] = []
  for (let t = from; t <= to; t++)
    for (const [bucket, one] of changes.entries()) {
      const change = one.at(t)
      if (change === null) lines.push(`${t} ${bucket} nothing`)
      else lines.push(`${t} ${bucket} ${change.nextOffset} ${change.epoch} ${owners.get(`${bucket}/${change.epoch}`)}`)
    }
  return lines
}

async function readAll(stores: JournalStores): Promise<{ records: FlushRecord[]; knownFrom: number }> {
  const reader = new FlushJournalReader(stores, LOG, 0)
  const records: FlushRecord[] = []
  for await (const record of reader.records()) records.push(record)
  return { records, knownFrom: reader.knownFrom }
}

test('sealed by two processes that are killed at any step, read meanwhile: every change is known, from the retention on', async (context) => {
  const seed = runSeed('flush journal segments')
  const crashed = new Map<string, number>()
  let dropped = 0
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(seed + round)
    const folder = await temporaryFolder(context)
    let now = START
    const log = await openLmdbLog({ path: join(folder, 'log'), now: () => now })
    const objects = await openFileObjects({ path: join(folder, 'objects') })
    const stores: JournalStores = { log, objects }
    await log.createTopic(flushTopic(LOG), { partitions: 1 })
    const journal = new Journal(stores, random)
    const keepMs = [Infinity, 10, 30][round % 3]
    const options = { segmentRecords: 1 + random.below(7), keepMs }
    const seal = async (): Promise<void> => {
      const fuse = new Fuse(random)
      if (random.below(2) === 0) fuse.light(random.below(25))
      try {
        await sealFlushJournals({ log: burning(log, fuse), objects: burning(objects, fuse) }, options)
      } catch (error) {
        if (!(error instanceof Crash)) throw error
        crashed.set(fuse.struck ?? '', (crashed.get(fuse.struck ?? '') ?? 0) + 1)
      }
    }
    const look = async (): Promise<void> => {
      const expected = [...journal.written]
      const to = journal.newest
      const reading = { log: burning(log, new Fuse(random)), objects: burning(objects, new Fuse(random)) }
      const { records, knownFrom } = await readAll(reading)
      assert.ok(knownFrom === 0 || keepMs < Infinity)
      assert.ok(knownFrom <= Math.max(0, now - keepMs), 'what the retention keeps is known')
      if (knownFrom > 0) dropped++
      const from = Math.max(START, knownFrom)
      // Changes that were written meanwhile are of the newest millisecond or later.
      assert.deepEqual(held(records, from, to - 1), held(expected, from, to - 1), `round ${round} of seed ${seed}`)
    }
    for (let step = 0; step < STEPS; step++) {
      for (let writes = random.below(6); writes > 0; writes--) await journal.write()
      now = Math.max(now, journal.newest)
      await Promise.all([seal(), random.below(2) === 0 ? seal() : null, look(), journal.write()])
      now = Math.max(now, journal.newest)
    }
    await sealFlushJournals(stores, options)
    await look()
    const place = await journalPlace(log, LOG, 0)
    assert.ok(place !== null)
    const segments = await listSegments(stores, place)
    assert.ok(segments.length > 0)
    const left = (await log.endOffset(flushTopic(LOG), 0)) - (await log.startOffset(flushTopic(LOG), 0))
    assert.ok(left < options.segmentRecords, `${left} records are left in the log`)
    if (segments.length > 2) {
      await objects.delete(segmentName(place, segments[1]))
      await assert.rejects(readAll(stores), hasErrorCode('TM_DATA_DAMAGED'), 'a gap is found')
    }
    await log.close()
    await objects.close()
  }
  assert.ok(crashed.size > 0 && dropped > 0, JSON.stringify([...crashed]))
})

test('exports by the served clock have the same bytes before and after sealing; rows from before the retention are refused', async (context) => {
  const platform = await Platform.open(context, CARD_SPEND, { partitions: 2 })
  const spine: { card_id: string; timestamp: number }[] = []
  for (let step = 0; step < 14; step++) {
    platform.clock.ms += 60_000
    const events = [1, 2, 3].map((n) => ({ card_id: `c-${(step * n) % 7}`, amount: n, paid_at: platform.clock.ms - n }))
    await platform.send('payments', events)
    spine.push({ card_id: `c-${step % 7}`, timestamp: platform.clock.ms + 30_000 })
  }
  platform.clock.ms += 60_000
  await platform.settle()
  const before = await platform.export('fraud', spine, 'served')
  const seal = (keepMs: number): Promise<number> => sealFlushJournals(platform.context, { segmentRecords: 4, keepMs })
  assert.ok((await seal(Infinity)) > 5)
  const after = await platform.export('fraud', spine, 'served')
  assert.deepEqual(readFileSync(after.path), readFileSync(before.path))

  const late = spine.slice(9)
  const kept = platform.clock.ms - late[0].timestamp
  const expected = await platform.export('fraud', late, 'served')
  await seal(kept)
  const again = await platform.export('fraud', late, 'served')
  assert.deepEqual(readFileSync(again.path), readFileSync(expected.path))
  await assert.rejects(platform.export('fraud', spine, 'served'), (error) => {
    assert.ok(hasErrorCode('TM_SPINE_BEFORE_JOURNAL')(error) && error instanceof Error)
    assert.match(error.message, /flushJournal\.keep/)
    return true
  })
})
