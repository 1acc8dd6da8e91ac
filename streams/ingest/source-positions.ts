import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { TopicPartition } from '../../stores/log/log.ts'
import { failStream } from '../errors.ts'
import { keepRules } from '../feeds/take-over-rules.ts'
import type { StreamContext } from '../stream-context.ts'
import { readIngestCheckpoint, writeIngestCheckpoint } from './ingest-checkpoint.ts'
import type { IngestCheckpoint, SourcePartition } from './ingest-checkpoint.ts'

/** Where the ingest of this process stands in partitions of source topics. */
export class SourcePositions {
  readonly #context: StreamContext
  /** Where the log does not keep them: another process may be further, then what is sent again is dropped by its origin. */
  readonly #known = new Map<string, IngestCheckpoint>()

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** Where to read on; null: there is nothing before `end`. TM_SOURCE_RECREATED, TM_SOURCE_TRUNCATED: it cannot go on. */
  async next(source: SourcePlan, place: TopicPartition, end: number): Promise<IngestCheckpoint | null> {
    const { topic, partition, incarnation } = place
    const at = { source: sourceLogName(source), partition }
    const held = this.#known.get(nameOf(at)) ?? (await readIngestCheckpoint(this.#context, at))
    if (held === null) {
      const begun = await this.#begin(source, place)
      // Before anything is said to be complete: what is history must not depend on when the first record comes.
      if (begun.beganWith !== undefined) await writeIngestCheckpoint(this.#context, at, begun)
      return end > begun.nextOffset ? begun : null
    }
    if (held.incarnation !== incarnation)
      throw failStream(
        'TM_SOURCE_RECREATED',
        `the topic of source ${source.name} was made anew (it is ${incarnation}, ingest had read ${held.incarnation} up to ${held.nextOffset}): what was not read of the old one is gone. \`tidemark resume ${source.name}\` reads the new one from its beginning`,
        { details: { source: source.name, partition } },
      )
    if (end <= held.nextOffset) return null
    const start = await this.#context.log.startOffset(topic, partition)
    if (start > held.nextOffset)
      throw failStream(
        'TM_SOURCE_TRUNCATED',
        `source ${source.name} begins at offset ${start}${partition === 0 ? '' : ` in partition ${partition}`}, ingest has read it up to ${held.nextOffset}: records ${held.nextOffset} to ${start - 1} are gone (retention?) and were never read. Restore them and start again; \`tidemark resume ${source.name}\` goes on without them`,
        { details: { source: source.name, partition } },
      )
    const kept = await keepRules(this.#context, source, partition, held)
    this.moved(at, kept)
    return kept
  }

  moved(at: SourcePartition, checkpoint: IngestCheckpoint): void {
    if (this.#context.log.checkpoints === null) this.#known.set(nameOf(at), checkpoint)
  }

  /** Nobody ingests for a source version now: who takes over, writes its checkpoints. */
  forgetSource(source: string): void {
    for (const name of this.#known.keys()) if (name.startsWith(`${source}/`)) this.#known.delete(name)
  }

  /** It is read again next time. */
  forget(at: SourcePartition): void {
    this.#known.delete(nameOf(at))
  }

  /** What the topic still has is read from its beginning. For a later version of a source that is the history that it has, in the partitions that there were when it began. */
  async #begin(source: SourcePlan, { topic, partition, incarnation }: TopicPartition): Promise<IngestCheckpoint> {
    const { log } = this.#context
    const nextOffset = await log.startOffset(topic, partition)
    const begun = { incarnation, nextOffset, lastSent: {}, historyEnd: 0 }
    if ((source.version ?? 1) === 1) return begun
    const partitions = (await log.topic(topic))?.partitions ?? 1
    const first = await readIngestCheckpoint(this.#context, { source: sourceLogName(source), partition: 0 })
    const beganWith = first?.beganWith ?? partitions
    return { ...begun, beganWith, historyEnd: partition < beganWith ? await log.endOffset(topic, partition) : 0 }
  }
}

const nameOf = ({ source, partition }: SourcePartition): string => `${source}/${partition}`
