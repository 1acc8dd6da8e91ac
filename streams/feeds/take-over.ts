import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Column } from '../../features/values/column.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { Block } from '../blocks/block.ts'
import { LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import { deadLetterAppends, movedLetter, readDeadLetters } from '../dead-letters/dead-letters.ts'
import type { DeadLetter } from '../dead-letters/dead-letters.ts'
import { readIngestCheckpoint, writeIngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import type { IngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import { keepRules, rulesFrom } from './take-over-rules.ts'
import { deadTopic, limitsOf, sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** A block's columns as another version of its source has them: those that it lacks are null. */
export function columnsAs(to: SourcePlan, from: SourcePlan, { columns, length }: Block): readonly Column[] {
  if (to === from || sourceLogName(to) === sourceLogName(from)) return columns
  return to.fields.map((field) => {
    const at = from.fields.findIndex(({ name }) => name === field.name)
    if (at >= 0) return columns[at]
    const nulls = createColumnBuilder(field.type, length)
    for (let row = 0; row < length; row++) nulls.set(row, null)
    return nulls.finish()
  })
}

/**
 * Fixes where the ingest of a source version begins that takes over what others have: where the furthest of them stands. Nobody ingests for it before it is
 * fed, so its checkpoint holds this; a fill that was killed finds it there.
 */
export async function beginTakeOver(
  context: StreamContext,
  source: SourcePlan,
  others: readonly SourcePlan[],
): Promise<{ origin: string; before: number }> {
  const { log } = context
  const topic = await log.createTopic(sourceTopic(source.name), { partitions: 1 })
  const own = await readIngestCheckpoint(context, sourceLogName(source))
  const origin = `${topic.incarnation}/0`
  if (own?.isTakingOver === true) {
    await keepRules(context, source, own)
    await moveLetters(context, source, others, own)
    return { origin, before: own.nextOffset }
  }
  let furthest = own
  for (const other of others) {
    const held = await readIngestCheckpoint(context, sourceLogName(other))
    if (held !== null && held.nextOffset > (furthest?.nextOffset ?? -1)) furthest = { ...held, lastSent: {} }
  }
  const historyEnd = await log.endOffset(topic.name, 0)
  const checkpoint = furthest ?? { incarnation: topic.incarnation, nextOffset: 0, lastSent: {} }
  const rules = [await rulesFrom(context, source, checkpoint.nextOffset)]
  const begun = { ...checkpoint, historyEnd, isTakingOver: true, rules } satisfies IngestCheckpoint
  await writeIngestCheckpoint(context, sourceLogName(source), begun)
  await moveLetters(context, source, others, begun)
  return { origin, before: begun.nextOffset }
}

/** Before the first keyed log is fed. What came to the source's topic meanwhile is history: it arrived when it was sent. */
export async function endTakeOver(context: StreamContext, source: SourcePlan): Promise<void> {
  const held = await readIngestCheckpoint(context, sourceLogName(source))
  if (held === null) return
  const historyEnd = await context.log.endOffset(sourceTopic(source.name), 0)
  const checkpoint = { ...held, historyEnd } satisfies IngestCheckpoint
  await writeIngestCheckpoint(context, sourceLogName(source), checkpoint)
}

/**
 * Moves the pending letters of other versions to a version's own, before anything is filled: a letter comes before later events of its origin. Those of records that its ingest begins with are left: it makes them
 * anew. Killed in between and run again, it moves the rest.
 */
async function moveLetters(
  { log, limits }: Pick<StreamContext, 'log' | 'limits'>,
  source: SourcePlan,
  others: readonly SourcePlan[],
  ingested: IngestCheckpoint,
): Promise<void> {
  const isAhead = ({ origin, sequence }: DeadLetter): boolean =>
    origin === `${ingested.incarnation}/0` && sequence[0] >= ingested.nextOffset
  const { messageBytesMax } = limitsOf({ limits })
  for (const other of others) {
    const name = sourceLogName(other)
    if ((await log.topic(deadTopic(name))) === null) continue
    const outcomes = await LetterOutcomes.read(log, name)
    for await (const { letters } of readDeadLetters(log, name)) {
      const pending = letters.filter((letter) => outcomes.of(letter.offset) === null && !isAhead(letter))
      const copies = pending.map(movedLetter)
      await outcomes.append(log, 'moved', pending, {
        others: deadLetterAppends(sourceLogName(source), copies, messageBytesMax),
      })
    }
  }
}
