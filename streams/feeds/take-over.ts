import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Column } from '../../features/values/column.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { Block } from '../blocks/block.ts'
import { readIngestCheckpoint, writeIngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import type { IngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import type { TakenOver } from './source-feeds.ts'
import { moveLetters } from './move-letters.ts'
import { keepRules, rulesFrom } from './take-over-rules.ts'
import { sourceTopic } from '../stream-context.ts'
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
  const begun: IngestCheckpoint[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const own = await readIngestCheckpoint(context, { source: sourceLogName(source), partition })
    const isBegun = own?.isTakingOver === true && own.incarnation === incarnation
    begun.push(
      isBegun
        ? await keepRules(context, source, partition, own)
        : await beginPartition(context, source, { others, own, partition }),
    )
  }
  await moveLetters(context, source, others, { incarnation, begun })
  return { incarnation, before: begun.map(({ nextOffset }) => nextOffset) }
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
  const ownNow = own?.incarnation === topic.incarnation ? own : null
  let furthest = ownNow
  let number = 1 + (own?.tookOver?.number ?? 0)
  for (const other of others) {
    const held = await readIngestCheckpoint(context, { source: sourceLogName(other), partition })
    number = Math.max(number, 1 + (held?.tookOver?.number ?? 0))
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
    tookOver: { number, from: checkpoint.nextOffset, ownEnd: ownNow?.nextOffset ?? 0 },
  } satisfies IngestCheckpoint
  await writeIngestCheckpoint(context, { source: sourceLogName(source), partition }, begun)
  return begun
}

/** Whether a version that is fed still is registered again after another took over from it: imports and replays of letters went to that one meanwhile. */
export async function hasReturned(
  context: StreamContext,
  source: SourcePlan,
  others: readonly SourcePlan[],
): Promise<boolean> {
  const own = await takeOverNumber(context, source)
  const numbers = await Promise.all(others.map(async (other) => takeOverNumber(context, other)))
  if (!numbers.some((number) => number > own)) return false
  return (await context.registry.sources()).some((other) => sourceLogName(other) === sourceLogName(source))
}

/** Of the last take-over of a version; 0: it has taken nothing over. */
async function takeOverNumber(context: StreamContext, source: SourcePlan): Promise<number> {
  const topic = await context.log.topic(sourceTopic(context, source))
  let number = 0
  for (let partition = 0; partition < (topic?.partitions ?? 0); partition++) {
    const held = await readIngestCheckpoint(context, { source: sourceLogName(source), partition })
    number = Math.max(number, held?.tookOver?.number ?? 0)
  }
  return number
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
