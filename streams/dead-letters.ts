import type { Log } from '../stores/log/log.ts'
import { deadTopic } from './stream-context.ts'

/** An event that was refused, kept with the cause and the payload. */
export interface DeadLetter {
  readonly code: string
  readonly reason: string
  readonly origin: string
  readonly sequence: readonly [number, number]
  readonly payload: string
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export async function appendDeadLetters(log: Log, source: string, letters: readonly DeadLetter[]): Promise<void> {
  if (letters.length > 0)
    await log.append(
      deadTopic(source),
      0,
      letters.map((letter) => encoder.encode(JSON.stringify(letter))),
    )
}

/** Dead letters in append order with their offsets. A letter that was appended again after a restart is listed once. */
export async function listDeadLetters(
  log: Log,
  source: string,
): Promise<(DeadLetter & { offset: number; appendTime: number })[]> {
  const letters = new Map<string, DeadLetter & { offset: number; appendTime: number }>()
  for (let next = 0; ;) {
    const records = await log.read(deadTopic(source), 0, next, 1 << 20)
    if (records.length === 0) return [...letters.values()]
    for (const { offset, appendTime, value } of records) {
      const letter = JSON.parse(decoder.decode(value)) as DeadLetter
      const id = `${letter.origin}/${letter.sequence.join('.')}`
      if (!letters.has(id)) letters.set(id, { ...letter, offset, appendTime })
      next = offset + 1
    }
  }
}
