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
  /** Of a source version that takes over what others have: it is not fed yet, and its ingest will begin here. */
  readonly isTakingOver?: true
  /** While another version of the source is further: what is taken in of which records. Ascending; see `take-over-rules.ts`. */
  readonly rules?: readonly RulesFrom[]
}

/** The plan that decides what is an event and what a dead letter, from a record of the source's topic on. */
export interface RulesFrom {
  readonly offset: number
  readonly source: SourcePlan
}

type Stores = Pick<StreamContext, 'log' | 'metadata'>

/** Where ingest stands in a source version (`sourceLogName`); null: it never read it. */
export async function readIngestCheckpoint(
  { log, metadata }: Stores,
  source: string,
): Promise<IngestCheckpoint | null> {
  if (log.checkpoints === null) return metadata.readProgress<IngestCheckpoint>('ingest', source)
  const bytes = await log.checkpoints.read(nameOf(source))
  return bytes === null ? null : (JSON.parse(Buffer.from(bytes).toString()) as IngestCheckpoint)
}

/**
 * Appends what a fetch gave and moves the checkpoint on. In one transaction where the log has checkpoints: blocks, dead letters and checkpoint are then all there or none is,
 * so that a schema that changes after a crash never makes of one line both an event and a letter. Elsewhere the checkpoint follows, and what is sent again
 * after a crash in between is dropped by its origin.
 */
export async function appendIngested(
  { log, metadata }: Stores,
  source: string,
  appends: readonly TopicAppend[],
  checkpoint: IngestCheckpoint,
): Promise<AppendResult[]> {
  if (log.checkpoints !== null) {
    const value = Buffer.from(JSON.stringify(checkpoint))
    return log.appendAll(appends, { name: nameOf(source), value })
  }
  const results = appends.length === 0 ? [] : await log.appendAll(appends)
  await metadata.writeProgress('ingest', source, checkpoint)
  return results
}

/** Moves the checkpoint alone. */
export async function writeIngestCheckpoint(
  stores: Stores,
  source: string,
  checkpoint: IngestCheckpoint,
): Promise<void> {
  await appendIngested(stores, source, [], checkpoint)
}

/** Whether ingest has read what was in a source's topic when this version of it began to be fed. */
export async function isHistoryRead(stores: Stores, source: SourcePlan): Promise<boolean> {
  const { log } = stores
  const held = await readIngestCheckpoint(stores, sourceLogName(source))
  if (held !== null) return held.nextOffset >= held.historyEnd
  if ((source.version ?? 1) === 1 || (await log.topic(sourceTopic(source.name))) === null) return true
  return (await log.endOffset(sourceTopic(source.name), 0)) === 0
}

const nameOf = (source: string): string => `ingest/${source}`
