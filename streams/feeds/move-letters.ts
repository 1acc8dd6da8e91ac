import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import type { LetterOutcome } from '../dead-letters/dead-letter-outcomes.ts'
import { deadLetterAppends, movedLetter, readDeadLetters } from '../dead-letters/dead-letters.ts'
import type { DeadLetter, StoredLetter } from '../dead-letters/dead-letters.ts'
import { readIngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import type { IngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import { deadTopic, limitsOf } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/*
 * Versions of a source read on beside each other, so several may have refused one record of its topic. It is one letter all the same: that of the version that decides for whoever takes
 * over, which is the last one that took over before the record and has read it; a version that comes back has decided itself what it had read.
 */

/** A version, and which records of a partition of the source's topic it has read itself: from its last take-over on. */
interface Reader {
  /** Of its take-over. */
  readonly number: number
  readonly from: number
  readonly end: number
}

/** Where a version that takes over begins: its checkpoint by partition of the source's topic. */
interface Begun {
  readonly incarnation: string
  readonly begun: readonly IngestCheckpoint[]
}

/**
 * Moves the pending letters of other versions to a version's own, before anything is filled: a letter comes before later events of its origin. Those of records that its ingest begins with are left: it makes them
 * anew. Killed in between and run again, it moves the rest.
 */
export async function moveLetters(
  context: StreamContext,
  source: SourcePlan,
  others: readonly SourcePlan[],
  taken: Begun,
): Promise<void> {
  const { log } = context
  const { messageBytesMax } = limitsOf(context)
  const own = sourceLogName(source)
  const readers = new Map<string, readonly Reader[]>()
  for (const name of others.map(sourceLogName)) readers.set(name, await readersOf(context, name, taken))
  const settled = new Map<string, LetterOutcome>()
  for (const [name, places] of readers) {
    if ((await log.topic(deadTopic(name))) === null) continue
    const rest = [...readers].flatMap(([other, of]) => (other === name ? [] : [of]))
    const outcomes = await LetterOutcomes.read(log, name)
    for await (const { letters } of readDeadLetters(log, name)) {
      for (const letter of letters) noteSettled(settled, letter, outcomes.of(letter.offset))
      const pending = letters.filter(
        (letter) => outcomes.of(letter.offset) === null && counts(letter, taken, places, rest),
      )
      const copies = pending.map(movedLetter)
      await outcomes.append(log, 'moved', pending, { others: deadLetterAppends(own, copies, messageBytesMax) })
    }
  }
  await settleOwn(context, own, settled)
}

/** By partition of the source's topic. */
async function readersOf(context: StreamContext, source: string, { incarnation, begun }: Begun): Promise<Reader[]> {
  const readers: Reader[] = []
  for (const partition of begun.keys()) {
    const held = await readIngestCheckpoint(context, { source, partition })
    const { number, from } = held?.tookOver ?? { number: 0, from: 0 }
    readers.push({ number, from, end: held?.incarnation === incarnation ? held.nextOffset : 0 })
  }
  return readers
}

/** Whether a version's letter is that of the version that takes over: neither that one, before or from now on, nor one that took over later than the letter's decides what the record is. */
function counts(
  { origin, sequence: [record] }: DeadLetter,
  { incarnation, begun }: Begun,
  places: readonly Reader[],
  others: readonly (readonly Reader[])[],
): boolean {
  const [topic, number] = origin.split('/')
  const partition = Number(number)
  // Of another origin, each event is in one version alone.
  if (topic !== incarnation) return true
  if (partition >= begun.length) return false
  const { nextOffset, tookOver } = begun[partition]
  if (record >= nextOffset || record < (tookOver?.ownEnd ?? 0)) return false
  return !others.some((other) => {
    const { number: later, from, end } = other[partition]
    return later > places[partition].number && from <= record && record < end
  })
}

function noteSettled(settled: Map<string, LetterOutcome>, letter: DeadLetter, outcome: LetterOutcome | null): void {
  if (outcome === 'replayed' || outcome === 'dropped') settled.set(keyOf(letter), outcome)
}

/** Pending letters of a version that comes back, of which another has one that was replayed (that event is taken over) or dropped. */
async function settleOwn(
  { log }: StreamContext,
  name: string,
  settled: ReadonlyMap<string, LetterOutcome>,
): Promise<void> {
  if (settled.size === 0 || (await log.topic(deadTopic(name))) === null) return
  const outcomes = await LetterOutcomes.read(log, name)
  for await (const { letters } of readDeadLetters(log, name)) {
    const of = (outcome: LetterOutcome): StoredLetter[] =>
      letters.filter((letter) => outcomes.of(letter.offset) === null && settled.get(keyOf(letter)) === outcome)
    await outcomes.append(log, 'moved', of('replayed'))
    await outcomes.append(log, 'dropped', of('dropped'))
  }
}

const keyOf = ({ origin, sequence }: DeadLetter): string => `${origin}/${sequence.join('.')}`
