import { decodeBase64, encodeBase64 } from '../features/values/base64.ts'
import type { Log } from '../stores/log/log.ts'
import type { Stamp } from './assemble.ts'

const TOPIC = 'served'
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** One served vector as logged: what it was asked for, what it was computed from, and its canonical bytes. */
export interface ServedRow {
  readonly requestId: string
  readonly serviceVersion: string
  /** Key columns and request fields as the caller sent them. */
  readonly entity: Readonly<Record<string, unknown>>
  readonly request: Readonly<Record<string, unknown>>
  readonly evaluatedAt: number
  readonly stamps: readonly Stamp[]
  /** Canonical bytes of each cell (see `features/values/value-bytes.ts`), in vector order. */
  readonly cells: readonly Uint8Array[]
}

/** Appends rows to the served log. */
export async function appendServed(log: Log, rows: readonly ServedRow[]): Promise<void> {
  await log.createTopic(TOPIC, { partitions: 1 })
  await log.append(
    TOPIC,
    0,
    rows.map((row) => encoder.encode(JSON.stringify({ ...row, cells: row.cells.map(encodeBase64) }))),
  )
}

/** The newest `count` rows (all by default), oldest first. */
export async function readServed(log: Log, count: number = Infinity): Promise<ServedRow[]> {
  if ((await log.topic(TOPIC)) === null) return []
  const rows: ServedRow[] = []
  for (let next = Math.max(0, (await log.endOffset(TOPIC, 0)) - count); ;) {
    const records = await log.read(TOPIC, 0, next, 4 << 20)
    if (records.length === 0) return rows
    for (const { offset, value } of records) {
      const row = JSON.parse(decoder.decode(value)) as Omit<ServedRow, 'cells'> & { cells: string[] }
      rows.push({ ...row, cells: row.cells.map(decodeBase64) })
      next = offset + 1
    }
  }
}
