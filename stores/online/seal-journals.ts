import { flushTopic } from './flush-journal.ts'
import { decodeFlushRecord } from './flush-record.ts'
import type { FlushRecord } from './flush-record.ts'
import { encodeSegment, JournalBase, journalPlace, listSegments, readSegment, segmentName } from './journal-segment.ts'
import type { JournalPlace, JournalSegment, JournalStores } from './journal-segment.ts'

const SEGMENT_RECORDS = 4096
const READ_BYTES = 1 << 20
const TOPIC_PREFIX = flushTopic('')

export interface SealOptions {
  /** Records of one segment. Default 4,096. */
  readonly segmentRecords?: number
  /** The served clock is to be known for so long, from now backwards. Infinity: for ever, nothing is dropped. */
  readonly keepMs: number
}

/**
 * Moves what is old in the flush journals into segments, and drops segments beyond the retention. Any number of processes may do it at once, and be killed at any point: a segment
 * begins where the one before ends, one of them creates it, whole, and only what is in one is trimmed from the log. Segments go oldest first, so that what is left has no gap, and begins with
 * what the buckets held before it. Returns how many were sealed.
 */
export async function sealFlushJournals(
  stores: JournalStores,
  options: SealOptions,
  signal?: AbortSignal,
): Promise<number> {
  let sealed = 0
  for (const { name, partitions } of await stores.log.listTopics()) {
    if (!name.startsWith(TOPIC_PREFIX)) continue
    for (let partition = 0; partition < partitions; partition++) {
      if (signal?.aborted === true) return sealed
      const place = await journalPlace(stores.log, name.slice(TOPIC_PREFIX.length), partition)
      if (place !== null) sealed += await sealOne(stores, place, options)
    }
  }
  return sealed
}

async function sealOne(stores: JournalStores, place: JournalPlace, options: SealOptions): Promise<number> {
  const { segmentRecords = SEGMENT_RECORDS, keepMs } = options
  const { log } = stores
  const topic = flushTopic(place.keyedLog)
  const start = await log.startOffset(topic, place.partition)
  let sealed = 0
  if ((await log.endOffset(topic, place.partition)) - start >= segmentRecords) {
    // The log is trimmed first of what a process that was killed had sealed.
    let last = await lastSegment(stores, place)
    await trimBelow(stores, place, last?.next ?? 0)
    for (let next = await nextSegment(stores, place, last, segmentRecords); next !== null; sealed++) {
      await stores.objects.create(segmentName(place, next.first), encodeSegment(next))
      // Whoever made it: it says where the next one begins.
      last = await readSegment(stores, place, next.first)
      if (last === null) break
      await trimBelow(stores, place, last.next)
      next = await nextSegment(stores, place, last, segmentRecords)
    }
  }
  if (keepMs < Infinity) await dropBeyond(stores, place, Math.floor(log.now()) - keepMs)
  return sealed
}

async function lastSegment(stores: JournalStores, place: JournalPlace): Promise<JournalSegment | null> {
  const first = (await listSegments(stores, place)).at(-1)
  return first === undefined ? null : readSegment(stores, place, first)
}

/** The first records of the log behind a segment; null: there are too few yet. */
async function nextSegment(
  stores: JournalStores,
  place: JournalPlace,
  last: JournalSegment | null,
  count: number,
): Promise<JournalSegment | null> {
  const { log } = stores
  const topic = flushTopic(place.keyedLog)
  const first = last?.next ?? (await log.startOffset(topic, place.partition))
  // Where another process has begun meanwhile, the log no longer begins with the first record.
  if (last === null && (await listSegments(stores, place)).length > 0) return null
  const records: FlushRecord[] = []
  let next = first
  while (records.length < count) {
    const read = await log.read(topic, place.partition, next, READ_BYTES)
    if (read.length === 0) return null
    for (const { offset, value } of read.slice(0, count - records.length)) {
      records.push(decodeFlushRecord(value, `record ${offset} of ${topic}, partition ${place.partition},`))
      next = offset + 1
    }
  }
  // Another process sealed and trimmed them while they were read: what came back began later.
  if ((await log.startOffset(topic, place.partition)) > first) return null
  const base = JournalBase.after(last)
  return { first, next, knownFrom: base.knownFrom, base: base.records, records }
}

async function trimBelow({ log }: JournalStores, place: JournalPlace, before: number): Promise<void> {
  while ((await log.trim(flushTopic(place.keyedLog), place.partition, before)) > 0);
}

/** Drops segments that times from `from` on do not need: those before one that is known from then on. */
async function dropBeyond(stores: JournalStores, place: JournalPlace, from: number): Promise<void> {
  const held = await listSegments(stores, place)
  for (let i = 0; i + 1 < held.length; i++) {
    const next = await readSegment(stores, place, held[i + 1])
    if (next === null || next.knownFrom > from) return
    await stores.objects.delete(segmentName(place, held[i]))
  }
}
