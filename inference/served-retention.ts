import type { Log } from '../stores/log/log.ts'

const TOPIC = 'served'
/** Of the newest records, from which the size of all is estimated. */
const SAMPLE_RECORDS = 1000
const SAMPLE_BYTES = 4 << 20

/** How much of the served log is kept: what is older, or beyond the size, goes, oldest first. */
export interface ServedRetention {
  readonly keepMs: number
  readonly keepBytes: number
}

/** At most 50 vectors a second of 50 features are about 2 GB a day. */
export const SERVED_RETENTION: ServedRetention = { keepMs: 30 * 24 * 3_600_000, keepBytes: 10e9 }

/** What the served log holds. */
export interface ServedExtent {
  readonly records: number
  /** About. */
  readonly bytes: number
  /** Append time of the oldest record, epoch ms: `verify` goes back so far. null: it is empty. */
  readonly since: number | null
}

export async function servedExtent(log: Log): Promise<ServedExtent> {
  if ((await log.topic(TOPIC)) === null) return { records: 0, bytes: 0, since: null }
  const start = await log.startOffset(TOPIC, 0)
  const end = await log.endOffset(TOPIC, 0)
  const [oldest] = await log.read(TOPIC, 0, start, 1)
  if (oldest === undefined) return { records: 0, bytes: 0, since: null }
  const records = end - start
  return { records, bytes: Math.round(records * (await recordBytes(log, start, end))), since: oldest.appendTime }
}

/** Drops what is beyond the retention, some of it in each call. Returns how many records went; 0: nothing is beyond it. */
export async function trimServed(log: Log, { keepMs, keepBytes }: ServedRetention): Promise<number> {
  if ((await log.topic(TOPIC)) === null) return 0
  const start = await log.startOffset(TOPIC, 0)
  const end = await log.endOffset(TOPIC, 0)
  if (start === end) return 0
  const bySize = end - Math.floor(keepBytes / (await recordBytes(log, start, end)))
  const byAge = await firstAppendedFrom(log, Math.floor(log.now()) - keepMs, start, end)
  const first = Math.max(bySize, byAge)
  return first > start ? log.trim(TOPIC, 0, first) : 0
}

/** Of the newest records on average. */
async function recordBytes(log: Log, start: number, end: number): Promise<number> {
  const newest = await log.read(TOPIC, 0, Math.max(start, end - SAMPLE_RECORDS), SAMPLE_BYTES)
  const bytes = newest.reduce((sum, { value }) => sum + value.length, 0)
  return Math.max(1, bytes / Math.max(1, newest.length))
}

/** The first offset whose record was appended at `time` or later; append times never go back. */
async function firstAppendedFrom(log: Log, time: number, start: number, end: number): Promise<number> {
  let low = start
  let high = end
  while (low < high) {
    const middle = (low + high) >>> 1
    const [record] = await log.read(TOPIC, 0, middle, 1)
    if (record === undefined || record.appendTime >= time) high = middle
    else low = record.offset + 1
  }
  return low
}
