import { sourceLogName } from '../../features/plan/source-plan.ts'
import { sourceTopic, usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { readIngestCheckpoint, writeIngestCheckpoint } from './ingest-checkpoint.ts'

/** A source partition that goes on. */
export interface Resumed {
  /** What the logs of the source version are named after. */
  readonly source: string
  readonly partition: number
  /** Why it had stopped. */
  readonly code: 'TM_SOURCE_RECREATED' | 'TM_SOURCE_TRUNCATED'
  /** The record that is read next. */
  readonly nextOffset: number
  /** Records that nobody read before they went; null: not known, they were in a topic that is gone. */
  readonly lostRecords: number | null
}

/**
 * Lets the ingest of a source go on where its topic was made anew, or has lost records that were never read: with what there is now. Events that were taken in stay. No role may be at work
 * meanwhile.
 */
export async function resumeSource(context: StreamContext, name: string): Promise<Resumed[]> {
  const { log } = context
  const resumed: Resumed[] = []
  for (const source of await usedSources(context)) {
    const topic = source.name === name ? await log.topic(sourceTopic(context, source)) : null
    for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
      const at = { source: sourceLogName(source), partition }
      const held = await readIngestCheckpoint(context, at)
      if (held === null) continue
      const start = await log.startOffset(topic.name, partition)
      const isNew = held.incarnation !== topic.incarnation
      if (!isNew && start <= held.nextOffset) continue
      const { incarnation } = topic
      // What comes from another topic has another origin, and arrives when it is taken in.
      const next = isNew ? { incarnation, lastSent: {}, historyEnd: 0, beganWith: topic.partitions } : held
      await writeIngestCheckpoint(context, at, { ...next, nextOffset: start })
      const code = isNew ? 'TM_SOURCE_RECREATED' : 'TM_SOURCE_TRUNCATED'
      resumed.push({ ...at, code, nextOffset: start, lostRecords: isNew ? null : start - held.nextOffset })
    }
  }
  return resumed
}
