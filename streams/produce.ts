import { decodeEvents } from './decode-events.ts'
import { createTopics, sourceTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

export interface Accepted {
  accepted: number
  refused: number
  /** Refused events by code. */
  codes: Record<string, number>
}

const LINES_PER_RECORD = 500
const encoder = new TextEncoder()

/** Appends JSON lines to a source's topic, in order. Refused lines are appended too: ingest keeps them as dead letters. Empty lines are skipped. */
export async function produce(
  context: StreamContext,
  sourceName: string,
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<Accepted> {
  const source = await context.registry.source(sourceName)
  await createTopics(context)
  const entities = (await context.registry.keyedLogs())
    .filter((log) => log.source.name === source.name)
    .map(({ entity }) => entity)
  const result: Accepted = { accepted: 0, refused: 0, codes: {} }
  let pending: string[] = []
  const send = async (): Promise<void> => {
    if (pending.length === 0) return
    const { rows, refused } = decodeEvents(source, entities, pending)
    result.accepted += rows.length
    result.refused += refused.length
    for (const { code } of refused) result.codes[code] = (result.codes[code] ?? 0) + 1
    await context.log.append(sourceTopic(source.name), 0, [encoder.encode(pending.join('\n'))])
    pending = []
  }
  for await (const line of lines) {
    if (line.trim() === '') continue
    pending.push(line)
    if (pending.length >= LINES_PER_RECORD) await send()
  }
  await send()
  return result
}
