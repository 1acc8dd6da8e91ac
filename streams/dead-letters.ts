import { decodeBase64, encodeBase64 } from '../features/values/base64.ts'
import type { Log, TopicAppend } from '../stores/log/log.ts'
import type { Sequence } from './block.ts'
import type { EventLine } from './event-lines.ts'
import { isAfter } from './origin-filter.ts'
import { deadTopic } from './stream-context.ts'

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
  /** Epoch ms. */
  readonly appendTime: number
}

/** The highest sequence of every origin up to some offset of a dead-letter log. */
export type LetterSequences = Map<string, Sequence>

const FETCH_BYTES = 1 << 20
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Letters in the order of their sequences, for an append together with the blocks of the same fetch. */
export function deadLetterAppends(source: string, letters: readonly DeadLetter[]): TopicAppend[] {
  if (letters.length === 0) return []
  const values = letters.map((letter) => encoder.encode(JSON.stringify(letter)))
  return [{ topic: deadTopic(source), partition: 0, values }]
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
  for (let next = from.offset; ;) {
    const records = await log.read(deadTopic(source), 0, next, FETCH_BYTES)
    if (records.length === 0) return
    const letters: StoredLetter[] = []
    for (const { offset, appendTime, value } of records) {
      const letter = JSON.parse(decoder.decode(value)) as DeadLetter
      if (isFirst(letter, from.seen)) letters.push({ ...letter, offset, appendTime })
    }
    next = records[records.length - 1].offset + 1
    yield { letters, nextOffset: next }
  }
}

function isFirst({ origin, sequence: [offset, index], movedFrom }: DeadLetter, seen: LetterSequences): boolean {
  if (movedFrom !== undefined) return true
  const highest = seen.get(origin)
  if (highest !== undefined && !isAfter(offset, index, highest)) return false
  seen.set(origin, { offset, index })
  return true
}
