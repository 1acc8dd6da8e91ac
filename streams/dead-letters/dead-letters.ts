import { decodeBase64, encodeBase64 } from '../../features/values/base64.ts'
import type { Log, LogRecord, TopicAppend } from '../../stores/log/log.ts'
import type { Sequence } from '../blocks/block.ts'
import type { EventLine } from '../ingest/event-lines.ts'
import { isAfter } from '../blocks/origin-filter.ts'
import { deadTopic } from '../stream-context.ts'

/** An event that was refused, kept with the cause and the payload. */
export interface DeadLetter {
  readonly code: string
  readonly reason: string
  /** Where the event came from, and its place there. */
  readonly origin: string
  readonly sequence: readonly [number, number]
  /** The event as JSON text, as it was sent; an imported row as an object of its columns. */
  readonly payload: string
  /** The payload is base64 of bytes that are not UTF-8 text. */
  readonly base64?: true
  /** The offset of the letter that this one stands for from now on: replay moves letters behind those it replayed before. */
  readonly movedFrom?: number
  /** When the event arrived, where that was before this letter was appended: a moved letter, or history that is read again. Epoch ms. */
  readonly arrivedAt?: number
}

export interface StoredLetter extends DeadLetter {
  readonly offset: number
  /** Records that it takes in the log, from `offset` on. */
  readonly records: number
  /** Epoch ms. */
  readonly appendTime: number
}

/** The highest sequence of every origin up to some offset of a dead-letter log. */
export type LetterSequences = Map<string, Sequence>

/*
 * A letter is one JSON record, and more where it would be too large for a message: `parts` in the first says how many records there are, each further one is
 * `{"part": text}`, and the texts go behind the first one's payload. Offsets of letters are those of their first records.
 */
type LetterRecord = DeadLetter & { readonly parts?: number; readonly part?: string }

const FETCH_BYTES = 1 << 20
/** A UTF-16 unit has at most 6 bytes in JSON. */
const UNIT_BYTES_MAX = 6
/** Of a part, what is not its text. */
const PART_BYTES = 64
const UNITS_LEAST = 256
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Letters in the order of their sequences, for an append together with the blocks of the same fetch. */
export function deadLetterAppends(
  source: string,
  letters: readonly DeadLetter[],
  messageBytesMax: number,
): TopicAppend[] {
  if (letters.length === 0) return []
  const values = letters.flatMap((letter) => letterRecords(letter, messageBytesMax))
  return [{ topic: deadTopic(source), partition: 0, values }]
}

function letterRecords(letter: DeadLetter, bytesMax: number): Uint8Array[] {
  const whole = encoder.encode(JSON.stringify(letter))
  if (whole.length <= bytesMax) return [whole]
  const { payload, ...rest } = letter
  const head = encoder.encode(JSON.stringify(rest)).length
  const units = Math.max(UNITS_LEAST, Math.floor((bytesMax - PART_BYTES - head) / UNIT_BYTES_MAX))
  const texts = Array.from({ length: Math.ceil(payload.length / units) }, (_, i) =>
    payload.slice(i * units, (i + 1) * units),
  )
  const records = texts.map((part, i) => (i === 0 ? { ...letter, payload: part, parts: texts.length } : { part }))
  return records.map((record) => encoder.encode(JSON.stringify(record)))
}

/** The letter that stands for another from now on. */
export function movedLetter(letter: StoredLetter): DeadLetter {
  const { code, reason, origin, sequence, payload, base64, offset } = letter
  return { code, reason, origin, sequence, payload, base64, movedFrom: offset, arrivedAt: arrivalOf(letter) }
}

/** When the event arrived, had it been taken in. Epoch ms. */
export function arrivalOf({ appendTime, arrivedAt }: StoredLetter): number {
  return arrivedAt ?? appendTime
}

export function letterPayload(line: EventLine): Pick<DeadLetter, 'payload' | 'base64'> {
  return typeof line === 'string' ? { payload: line } : { payload: encodeBase64(line), base64: true }
}

export function payloadOf({ payload, base64 }: DeadLetter): EventLine {
  return base64 === true ? decodeBase64(payload) : payload
}

/**
 * Letters in append order, a fetch at a time. One that was appended again after a restart is left out: a producer appends its letters in the order of
 * their sequences, so `seen` (which is advanced) tells.
 */
export async function* readDeadLetters(
  log: Log,
  source: string,
  from: { readonly offset: number; readonly seen: LetterSequences } = { offset: 0, seen: new Map() },
): AsyncIterable<{ readonly letters: readonly StoredLetter[]; readonly nextOffset: number }> {
  for await (const { letters, nextOffset } of readStoredLetters(log, source, from.offset))
    yield { letters: letters.filter((letter) => isFirst(letter, from.seen)), nextOffset }
}

/** The same with letters that were appended again. */
export async function* readStoredLetters(
  log: Log,
  source: string,
  fromOffset: number = 0,
): AsyncIterable<{ readonly letters: readonly StoredLetter[]; readonly nextOffset: number }> {
  for (let next = fromOffset; ;) {
    const records = await log.read(deadTopic(source), 0, next, FETCH_BYTES)
    if (records.length === 0) return
    const letters: StoredLetter[] = []
    let at = 0
    while (at < records.length) {
      const { offset, appendTime } = records[at]
      const { part, parts: count = 1, ...letter } = parseRecord(records[at])
      while (records.length < at + count) {
        const more = await log.read(deadTopic(source), 0, records[records.length - 1].offset + 1, FETCH_BYTES)
        if (more.length === 0) break
        records.push(...more)
      }
      const texts = partsAfter(records, at, count - 1)
      // Its appending has not come to its end yet.
      if (at + count > records.length && at + 1 + texts.length === records.length) break
      at += 1 + texts.length
      // Of one whose appending was cut short nothing counts: it was appended again.
      if (part === undefined && texts.length === count - 1)
        letters.push({ ...letter, payload: letter.payload + texts.join(''), offset, records: count, appendTime })
    }
    if (at === 0) return
    next = records[at - 1].offset + 1
    yield { letters, nextOffset: next }
  }
}

/** The texts of the parts, up to `countMax`, that follow a letter's first record. */
function partsAfter(records: readonly LogRecord[], first: number, countMax: number): string[] {
  const texts: string[] = []
  for (const record of records.slice(first + 1, first + 1 + countMax)) {
    const { part } = parseRecord(record)
    if (part === undefined) break
    texts.push(part)
  }
  return texts
}

function parseRecord({ value }: LogRecord): LetterRecord {
  return JSON.parse(decoder.decode(value)) as LetterRecord
}

function isFirst({ origin, sequence: [offset, index], movedFrom }: DeadLetter, seen: LetterSequences): boolean {
  if (movedFrom !== undefined) return true
  const highest = seen.get(origin)
  if (highest !== undefined && !isAfter(offset, index, highest)) return false
  seen.set(origin, { offset, index })
  return true
}
