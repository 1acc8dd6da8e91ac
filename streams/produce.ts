import { sourceLogName } from '../features/plan/source-plan.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import { decodeEvents } from './ingest/decode-events.ts'
import { isLines, recordOf } from './ingest/event-decoder.ts'
import { joinLines } from './ingest/event-lines.ts'
import type { EventLine } from './ingest/event-lines.ts'
import { createTopics, limitsOf, sourceTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

export interface Accepted {
  accepted: number
  refused: number
  /** Refused events by code. */
  codes: Record<string, number>
}

export interface ProduceOptions {
  readonly onProgress?: (events: number) => void
  /** Aborted: no further lines are read; those that were are appended. */
  readonly signal?: AbortSignal
}

const LINES_PER_RECORD = 2000
/** A record has no more than this, but for a single longer line. */
const RECORD_BYTES = 1 << 20
/** A line of a slow input waits this long for company. */
const LINGER_MS = 20

/** Appends events to a source's topic, in order: JSON lines, many to a record; or of a source with another format records as they are, bytes. Refused lines are appended too: ingest keeps them as dead letters. Empty lines are skipped. */
export async function produce(
  context: StreamContext,
  sourceName: string,
  events: AsyncIterable<EventLine> | Iterable<EventLine>,
  { onProgress, signal }: ProduceOptions = {},
): Promise<Accepted> {
  const source = await context.registry.source(sourceName)
  await createTopics(context)
  const entities = (await context.registry.keyedLogs())
    .filter((log) => sourceLogName(log.source) === sourceLogName(source))
    .map(({ entity }) => entity)
  const { messageBytesMax } = limitsOf(context)
  const send = await sender(context, source)
  const result: Accepted = { accepted: 0, refused: 0, codes: {} }
  for await (const batch of batches(events)) {
    const { rows, refused } = await decodeEvents({ source, entities, messageBytesMax }, batch, context.schemas)
    result.accepted += rows.length
    result.refused += refused.length
    for (const { code } of refused) result.codes[code] = (result.codes[code] ?? 0) + 1
    await send(batch)
    onProgress?.(result.accepted + result.refused)
    if (signal?.aborted === true) break
  }
  return result
}

/** To a topic of Tidemark's own, lines go together as one record, records of another format one by one; others expect an event in each, and any partition will do: they are taken in turn. */
async function sender(
  context: StreamContext,
  source: SourcePlan,
): Promise<(lines: readonly EventLine[]) => Promise<void>> {
  const { log } = context
  const topic = sourceTopic(context, source)
  const { partitions } = await log.createTopic(topic, { partitions: 1 })
  if (topic !== (source.kind === 'stream' ? log.foreignTopic(source.topic) : null))
    return async (lines) =>
      void (await log.append(topic, 0, isLines(source) ? [joinLines(lines)] : lines.map(recordOf)))
  let turn = Math.floor(Math.random() * partitions)
  return async (lines) =>
    void (await log.append(
      topic,
      turn++ % partitions,
      lines.map((line) => joinLines([line])),
    ))
}

/** Lines in groups: full ones from a fast input, whatever has come after a short while from a slow one. */
async function* batches(lines: AsyncIterable<EventLine> | Iterable<EventLine>): AsyncIterable<EventLine[]> {
  const reader = Symbol.asyncIterator in lines ? lines[Symbol.asyncIterator]() : lines[Symbol.iterator]()
  let batch: EventLine[] = []
  let bytes = 0
  let pending: Promise<IteratorResult<EventLine>> | null = null
  let timer: NodeJS.Timeout | undefined
  let lingered: Promise<null> | null = null
  try {
    for (;;) {
      pending ??= Promise.resolve(reader.next())
      const next: IteratorResult<EventLine> | null =
        lingered === null ? await pending : await Promise.race([pending, lingered])
      if (next !== null) {
        pending = null
        if (next.done === true) break
        if (typeof next.value === 'string' ? next.value.trim() === '' : next.value.length === 0) continue
        batch.push(next.value)
        bytes += next.value.length
        lingered ??= new Promise((resolve) => (timer = setTimeout(() => resolve(null), LINGER_MS)))
        if (batch.length < LINES_PER_RECORD && bytes < RECORD_BYTES) continue
      }
      clearTimeout(timer)
      lingered = null
      yield batch
      batch = []
      bytes = 0
    }
    if (batch.length > 0) yield batch
  } finally {
    clearTimeout(timer)
    await reader.return?.()
  }
}
