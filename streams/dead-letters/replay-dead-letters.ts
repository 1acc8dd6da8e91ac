import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { gatherColumn } from '../../features/values/gather.ts'
import { readDeadLetters, deadLetterAppends, movedLetter, payloadOf } from './dead-letters.ts'
import type { StoredLetter } from './dead-letters.ts'
import { LetterOutcomes } from './dead-letter-outcomes.ts'
import { decodeEvents } from '../ingest/decode-events.ts'
import type { DecodedRows } from '../ingest/decode-events.ts'
import { appendTarget, repartition } from '../ingest/keyed-append.ts'
import { isConflict, whileFed } from '../feeds/source-feeds.ts'
import type { OpenFeeds } from '../feeds/source-feeds.ts'
import { createTopics, deadTopic, limitsOf } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

export interface LetterFilter {
  /** Letters of this code only. */
  readonly code?: string
  /** At most so many letters, oldest first. */
  readonly limit?: number
}

export interface Replayed {
  replayed: number
  /** Letters that are refused still: they stay. */
  refused: number
  /** The refused by the code that they are refused with now. */
  codes: Record<string, number>
}

/** Another replay or drop got in between: read the outcomes again and go on. */
const ATTEMPTS_MAX = 20

/**
 * Appends pending letters that the current schema takes in to the keyed logs. Their arrival is the time of that append; their origin is the dead-letter
 * log, their sequence the letter's offset, so that a letter counts once however often this is run or killed. Sequences only grow, hence a letter
 * below one that was replayed earlier is first moved to the end of the log.
 */
export async function replayDeadLetters(
  context: StreamContext,
  sourceName: string,
  filter: LetterFilter = {},
): Promise<Replayed> {
  const source = await context.registry.source(sourceName)
  await createTopics(context)
  let replayed = 0
  return whileFed(context, source, async (open) => {
    const result: Replayed = { replayed, refused: 0, codes: {} }
    try {
      await replayOnce({ context, source, open, filter, result })
      return result
    } finally {
      replayed = result.replayed
    }
  })
}

/** Marks pending letters as done with, without replaying them. Returns how many. */
export async function dropDeadLetters(
  { log }: Pick<StreamContext, 'log'>,
  source: string,
  filter: LetterFilter = {},
): Promise<number> {
  let dropped = 0
  if ((await log.topic(deadTopic(source))) === null) return 0
  return retryOnConflict(async () => {
    const outcomes = await LetterOutcomes.read(log, source)
    for await (const { letters } of readDeadLetters(log, source)) {
      const picked = pending(letters, outcomes, filter).slice(0, (filter.limit ?? Infinity) - dropped)
      await outcomes.append(log, 'dropped', picked)
      dropped += picked.length
      if (dropped === filter.limit) break
    }
    return dropped
  })
}

function pending(letters: readonly StoredLetter[], outcomes: LetterOutcomes, { code }: LetterFilter): StoredLetter[] {
  return letters.filter((letter) => outcomes.of(letter.offset) === null && (code === undefined || letter.code === code))
}

async function retryOnConflict<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run()
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isConflict(error)) throw error
    }
  }
}

interface ReplayJob {
  readonly context: StreamContext
  readonly source: SourcePlan
  readonly open: OpenFeeds
  readonly filter: LetterFilter
  readonly result: Replayed
}

async function replayOnce(job: ReplayJob): Promise<void> {
  const { context, source, filter, result } = job
  const { log } = context
  const { messageBytesMax } = limitsOf(context)
  const outcomes = await LetterOutcomes.read(log, sourceLogName(source))
  const done = outcomes.highest
  let room = (filter.limit ?? Infinity) - result.replayed
  for await (const { letters } of acceptable(job, outcomes, { from: 0, to: done + 1 })) {
    const moved = letters.slice(0, room)
    const copies = moved.map(movedLetter)
    await outcomes.append(log, 'moved', moved, {
      others: deadLetterAppends(sourceLogName(source), copies, messageBytesMax),
    })
    room -= moved.length
  }
  const end = await log.endOffset(deadTopic(sourceLogName(source)), 0)
  for await (const { letters, decoded } of acceptable(job, outcomes, { from: done + 1, to: end }))
    await replayBatch(job, outcomes, letters, decoded)
}

/** Pending letters of an offset range that the current schema takes in; the others are counted as refused. */
async function* acceptable(
  { context, source, open, filter, result }: ReplayJob,
  outcomes: LetterOutcomes,
  range: { readonly from: number; readonly to: number },
): AsyncIterable<{ letters: StoredLetter[]; decoded: DecodedRows }> {
  const entities = open.keyedLogs.map(({ entity }) => entity)
  for await (const fetched of readDeadLetters(context.log, sourceLogName(source))) {
    const open = pending(fetched.letters, outcomes, filter).filter(
      ({ offset }) => offset >= range.from && offset < range.to,
    )
    const payloads = open.map(payloadOf)
    const { messageBytesMax } = limitsOf(context)
    const decoded = await decodeEvents({ source, entities, messageBytesMax }, payloads, context.schemas)
    result.refused += decoded.refused.length
    for (const { code } of decoded.refused) result.codes[code] = (result.codes[code] ?? 0) + 1
    yield { letters: Array.from(decoded.rows, (row) => open[row]), decoded }
    if (fetched.nextOffset >= range.to) return
  }
}

async function replayBatch(
  { context, source, open, filter, result }: ReplayJob,
  outcomes: LetterOutcomes,
  letters: readonly StoredLetter[],
  decoded: DecodedRows,
): Promise<void> {
  const picked = letters.slice(0, (filter.limit ?? Infinity) - result.replayed)
  if (picked.length === 0) return
  const { log } = context
  const { incarnation } = await log.createTopic(deadTopic(sourceLogName(source)), { partitions: 1 })
  const kept = Int32Array.from(picked.keys())
  const events = {
    origin: `${incarnation}/0`,
    length: picked.length,
    sequenceOffset: Float64Array.from(picked, ({ offset }) => offset),
    sequenceIndex: new Int32Array(picked.length),
    eventTime: decoded.eventTime.slice(0, picked.length),
    arrival: new Float64Array(picked.length).fill(NaN),
    columns: decoded.columns.map((column) => gatherColumn(column, kept)),
  }
  const { lastSent } = outcomes
  const blocks = open.keyedLogs.flatMap((keyedLog) =>
    repartition({ ...appendTarget(context, keyedLog), source }, events, lastSent),
  )
  await outcomes.append(log, 'replayed', picked, { others: [...blocks, open.feeds.guard], lastSent })
  result.replayed += picked.length
}
