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
import type { TakenOver } from './source-feeds.ts'
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
 * Fixes where the ingest of a source version begins that takes over what others have: in each partition where the furthest of them stands. Nobody ingests for it before it is
 * fed, so its checkpoints hold this; a fill that was killed finds it there.
 */
export async function beginTakeOver(
  context: StreamContext,
  source: SourcePlan,
  others: readonly SourcePlan[],
): Promise<Pick<TakenOver, 'incarnation' | 'before'>> {
  const { log } = context
  const { incarnation, partitions } = await log.createTopic(sourceTopic(context, source), { partitions: 1 })
  const before: number[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const own = await readIngestCheckpoint(context, { source: sourceLogName(source), partition })
    const isBegun = own?.isTakingOver === true && own.incarnation === incarnation
    const begun = isBegun
      ? await keepRules(context, source, partition, own)
      : await beginPartition(context, source, { others, own, partition })
    before.push(begun.nextOffset)
  }
  await moveLetters(context, source, others, { incarnation, before })
  return { incarnation, before }
}

async function beginPartition(
  context: StreamContext,
  source: SourcePlan,
  from: {
    readonly others: readonly SourcePlan[]
    readonly own: IngestCheckpoint | null
    readonly partition: number
  },
): Promise<IngestCheckpoint> {
  const { others, own, partition } = from
  const topic = await context.log.createTopic(sourceTopic(context, source), { partitions: 1 })
  let furthest = own?.incarnation === topic.incarnation ? own : null
  for (const other of others) {
    const held = await readIngestCheckpoint(context, { source: sourceLogName(other), partition })
    if (held?.incarnation === topic.incarnation && held.nextOffset > (furthest?.nextOffset ?? -1))
      furthest = { ...held, lastSent: {} }
  }
  const historyEnd = await context.log.endOffset(topic.name, partition)
  const checkpoint = furthest ?? { incarnation: topic.incarnation, nextOffset: 0, lastSent: {} }
  const begun = {
    ...checkpoint,
    historyEnd,
    isTakingOver: true,
    beganWith: topic.partitions,
    rules: [await rulesFrom(context, source, checkpoint.nextOffset)],
  } satisfies IngestCheckpoint
  await writeIngestCheckpoint(context, { source: sourceLogName(source), partition }, begun)
  return begun
}

/** Before the first keyed log is fed. What came to the source's topic meanwhile is history: it arrived when it was sent. */
export async function endTakeOver(context: StreamContext, source: SourcePlan): Promise<void> {
  const topic = await context.log.topic(sourceTopic(context, source))
  for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
    const place = { source: sourceLogName(source), partition }
    const held = await readIngestCheckpoint(context, place)
    if (held === null) continue
    const historyEnd = await context.log.endOffset(topic.name, partition)
    await writeIngestCheckpoint(context, place, { ...held, historyEnd })
  }
}

/**
 * Moves the pending letters of other versions to a version's own, before anything is filled: a letter comes before later events of its origin. Those of records that its ingest begins with are left: it makes them
 * anew. Killed in between and run again, it moves the rest.
 */
async function moveLetters(
  { log, limits }: Pick<StreamContext, 'log' | 'limits'>,
  source: SourcePlan,
  others: readonly SourcePlan[],
  { incarnation, before }: Pick<TakenOver, 'incarnation' | 'before'>,
): Promise<void> {
  const isAhead = ({ origin, sequence }: DeadLetter): boolean => {
    const [topic, partition] = origin.split('/')
    return topic === incarnation && sequence[0] >= (before[Number(partition)] ?? 0)
  }
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
