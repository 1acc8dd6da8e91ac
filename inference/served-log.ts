import type { Log } from '../stores/log/log.ts'
import { decodeServedRow, encodeServedRow } from './served-record.ts'
import type { ServedRow } from './served-record.ts'

const TOPIC = 'served'
const READ_BYTES = 4 << 20

/** A record of the served log; `row` is null where its bytes are damaged. */
export interface ServedRecord {
  readonly offset: number
  readonly appendTime: number
  readonly row: ServedRow | null
}

export interface ServedSelection {
  /** The newest n records only. */
  readonly sample?: number
  /** Records appended at or after this time (epoch ms) only. */
  readonly since?: number
}

/** Appends rows to the served log. */
export async function appendServed(log: Log, rows: readonly ServedRow[]): Promise<void> {
  await log.createTopic(TOPIC, { partitions: 1 })
  await log.append(TOPIC, 0, rows.map(encodeServedRow))
}

/** Records of the served log up to its present end, oldest first, in batches of a few thousand at most. */
export async function* readServed(log: Log, { sample, since }: ServedSelection = {}): AsyncIterable<ServedRecord[]> {
  if ((await log.topic(TOPIC)) === null) return
  const end = await log.endOffset(TOPIC, 0)
  const start = await log.startOffset(TOPIC, 0)
  for (let next = Math.max(start, end - (sample ?? Infinity)); next < end;) {
    const records = await log.read(TOPIC, 0, next, READ_BYTES)
    if (records.length === 0) return
    next = records[records.length - 1].offset + 1
    const batch = records
      .filter(({ offset, appendTime }) => offset < end && appendTime >= (since ?? -Infinity))
      .map(({ offset, appendTime, value }) => ({ offset, appendTime, row: decodeServedRow(value) }))
    if (batch.length > 0) yield batch
  }
}

/** How many records there are to read at most. */
export async function servedCount(log: Log, { sample }: ServedSelection = {}): Promise<number> {
  if ((await log.topic(TOPIC)) === null) return 0
  const held = (await log.endOffset(TOPIC, 0)) - (await log.startOffset(TOPIC, 0))
  return Math.min(held, sample ?? Infinity)
}
