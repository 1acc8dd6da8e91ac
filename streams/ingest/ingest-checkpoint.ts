import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { AppendResult, TopicAppend } from '../../stores/log/log.ts'
import type { LastSent } from './keyed-append.ts'
import { sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** Durable position of ingest in one source partition. */
export interface IngestCheckpoint {
  readonly incarnation: string
  readonly nextOffset: number
  readonly lastSent: LastSent
  /** Records below are the history of a later source version: their events arrived when they were appended to the source's topic. */
  readonly historyEnd: number
  /** Of a later source version: how many partitions the topic had when it began to be fed. */
  readonly beganWith?: number
  /** Of a source version that takes over what others have: it is not fed yet, and its ingest will begin here. */
  readonly isTakingOver?: true
  /** While another version of the source is further: what is taken in of which records. Ascending; see `take-over-rules.ts`. */
  readonly rules?: readonly RulesFrom[]
  /** Of a source version that took over what others had: the how manieth of the source's take-overs it was, from which record on it has read itself since, and up to which it had before. */
  readonly tookOver?: { readonly number: number; readonly from: number; readonly ownEnd: number }
}

/** The plan that decides what is an event and what a dead letter, from a record of the source's topic on. */
export interface RulesFrom {
  readonly offset: number
  readonly source: SourcePlan
}

type Stores = Pick<StreamContext, 'log' | 'metadata'>

/** A partition of a source's topic, as a version of the source (`sourceLogName`) reads it. */
export interface SourcePartition {
  readonly source: string
  readonly partition: number
}

/** Where ingest stands in a source partition; null: it never read it. */
export async function readIngestCheckpoint(
  { log, metadata }: Stores,
  place: SourcePartition,
): Promise<IngestCheckpoint | null> {
  if (log.checkpoints === null) return metadata.readProgress<IngestCheckpoint>('ingest', nameOf(place))
  const bytes = await log.checkpoints.read(`ingest/${nameOf(place)}`)
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as IngestCheckpoint)
}

/**
 * Appends what a fetch gave and moves the checkpoint on. In one transaction where the log has checkpoints: blocks, dead letters and checkpoint are then all there or none is,
 * so that a schema that changes after a crash never makes of one line both an event and a letter. Elsewhere the checkpoint follows, and what is sent again
 * after a crash in between is dropped by its origin.
 */
export async function appendIngested(
  { log, metadata }: Stores,
  place: SourcePartition,
  appends: readonly TopicAppend[],
  checkpoint: IngestCheckpoint,
): Promise<AppendResult[]> {
  if (log.checkpoints !== null) {
    const value = Buffer.from(JSON.stringify(checkpoint))
    return log.appendAll(appends, { name: `ingest/${nameOf(place)}`, value })
  }
  const results = appends.length === 0 ? [] : await log.appendAll(appends)
  await metadata.writeProgress('ingest', nameOf(place), checkpoint)
  return results
}

/** Moves the checkpoint alone. */
export async function writeIngestCheckpoint(
  stores: Stores,
  place: SourcePartition,
  checkpoint: IngestCheckpoint,
): Promise<void> {
  await appendIngested(stores, place, [], checkpoint)
}

/** Whether ingest has read what was in a source's topic when this version of it began to be fed. */
export async function isHistoryRead(stores: Stores, source: SourcePlan): Promise<boolean> {
  const { log } = stores
  const topic = await log.topic(sourceTopic(stores, source))
  for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
    const held = await readIngestCheckpoint(stores, { source: sourceLogName(source), partition })
    if (held === null ? (source.version ?? 1) > 1 : held.nextOffset < held.historyEnd) return false
  }
  return true
}

const nameOf = ({ source, partition }: SourcePartition): string => `${source}/${partition}`
