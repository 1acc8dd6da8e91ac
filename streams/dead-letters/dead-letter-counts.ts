import type { Log } from '../../stores/log/log.ts'
import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'
import type { Sequence } from '../blocks/block.ts'
import { readDeadLetters } from './dead-letters.ts'
import { lastOutcome } from './dead-letter-outcomes.ts'
import { deadTopic } from '../stream-context.ts'

/** Progress scope `dead-letters`, by source: the log counted up to an offset. */
interface CountedLetters {
  readonly incarnation: string
  readonly nextOffset: number
  readonly byCode: Readonly<Record<string, number>>
  readonly seen: Readonly<Record<string, Sequence>>
}

export interface DeadLetterCounts {
  readonly pending: number
  readonly replayed: number
  readonly dropped: number
  /** Pending letters by code. */
  readonly byCode: Readonly<Record<string, number>>
}

/** Counts a source's letters: reads only those that came since the last count, which is stored. */
export async function countDeadLetters(
  { log, metadata }: { readonly log: Log; readonly metadata: MetadataStore },
  source: string,
): Promise<DeadLetterCounts> {
  const topic = await log.topic(deadTopic(source))
  if (topic === null) return { pending: 0, replayed: 0, dropped: 0, byCode: {} }
  // Before the letters are counted: outcomes are of letters that are there already.
  const { totals } = await lastOutcome(log, source)
  const held = await metadata.readProgress<CountedLetters>('dead-letters', source)
  const from = held !== null && held.incarnation === topic.incarnation ? held : null
  const seen = new Map(Object.entries(from?.seen ?? {}))
  const letters: Record<string, number> = { ...from?.byCode }
  let next = from?.nextOffset ?? 0
  for await (const fetched of readDeadLetters(log, source, { offset: next, seen })) {
    for (const { code } of fetched.letters) letters[code] = (letters[code] ?? 0) + 1
    next = fetched.nextOffset
  }
  if (next !== from?.nextOffset) {
    const counted: CountedLetters = {
      incarnation: topic.incarnation,
      nextOffset: next,
      byCode: letters,
      seen: Object.fromEntries(seen),
    }
    await metadata.writeProgress('dead-letters', source, counted)
  }
  const byCode: Record<string, number> = {}
  for (const [code, count] of Object.entries(letters)) {
    const gone = Object.values(totals).reduce((total, counts) => total + (counts[code] ?? 0), 0)
    if (count > gone) byCode[code] = count - gone
  }
  return { pending: sum(byCode), replayed: sum(totals.replayed), dropped: sum(totals.dropped), byCode }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
