import { decodeEvents } from './decode-events.ts'
import { createTopics, sourceTopic } from './stream-context.ts'
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
/** A line of a slow input waits this long for company. */
const LINGER_MS = 20
const encoder = new TextEncoder()

/** Appends JSON lines to a source's topic, in order. Refused lines are appended too: ingest keeps them as dead letters. Empty lines are skipped. */
export async function produce(
  context: StreamContext,
  sourceName: string,
  lines: AsyncIterable<string> | Iterable<string>,
  { onProgress, signal }: ProduceOptions = {},
): Promise<Accepted> {
  const source = await context.registry.source(sourceName)
  await createTopics(context)
  const entities = (await context.registry.keyedLogs())
    .filter((log) => log.source.name === source.name)
    .map(({ entity }) => entity)
  const result: Accepted = { accepted: 0, refused: 0, codes: {} }
  for await (const batch of batches(lines)) {
    const { rows, refused } = decodeEvents(source, entities, batch)
    result.accepted += rows.length
    result.refused += refused.length
    for (const { code } of refused) result.codes[code] = (result.codes[code] ?? 0) + 1
    await context.log.append(sourceTopic(source.name), 0, [encoder.encode(batch.join('\n'))])
    onProgress?.(result.accepted + result.refused)
    if (signal?.aborted === true) break
  }
  return result
}

/** Lines in groups: full ones from a fast input, whatever has come after a short while from a slow one. */
async function* batches(lines: AsyncIterable<string> | Iterable<string>): AsyncIterable<string[]> {
  const reader = Symbol.asyncIterator in lines ? lines[Symbol.asyncIterator]() : lines[Symbol.iterator]()
  let batch: string[] = []
  let pending: Promise<IteratorResult<string>> | null = null
  let timer: NodeJS.Timeout | undefined
  let lingered: Promise<null> | null = null
  try {
    for (;;) {
      pending ??= Promise.resolve(reader.next())
      const next: IteratorResult<string> | null =
        lingered === null ? await pending : await Promise.race([pending, lingered])
      if (next !== null) {
        pending = null
        if (next.done === true) break
        if (next.value.trim() === '') continue
        batch.push(next.value)
        lingered ??= new Promise((resolve) => (timer = setTimeout(() => resolve(null), LINGER_MS)))
        if (batch.length < LINES_PER_RECORD) continue
      }
      clearTimeout(timer)
      lingered = null
      yield batch
      batch = []
    }
    if (batch.length > 0) yield batch
  } finally {
    clearTimeout(timer)
    await reader.return?.()
  }
}
