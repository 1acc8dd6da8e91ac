import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { decodeKeyedBlock } from './blocks/thinned-block.ts'
import { countDeadLetters } from './dead-letters/dead-letter-counts.ts'
import { readHeldBack } from './ingest/held-back.ts'
import type { HeldBackSource } from './ingest/held-back.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'
import { sourceStatus } from './wait.ts'
import type { PartitionStatus } from './wait.ts'

const FETCH_BYTES = 4 << 20
/** Records of a partition that are opened to count the events in them; a longer tail is estimated from these. */
const COUNTED_RECORDS_MAX = 100

export interface SourceReport {
  /** The registered version by its name; one before it, while something that it feeds is served, with its number. */
  readonly source: string
  /** Records of the source's topic that ingest has not read. */
  readonly lagRecords: number
  /** Neither replayed nor dropped. */
  readonly deadLetters: number
  readonly deadLetterCodes: Readonly<Record<string, number>>
  readonly replayed: number
  readonly dropped: number
  /** What its ingest waits for; null: it goes on. */
  readonly heldBack: HeldBackSource | null
}

export interface KeyedLogReport {
  readonly keyedLog: string
  readonly views: readonly string[]
  /** Events in the log that are not applied yet; more than a few records are counted by estimate. */
  readonly lagEvents: number
  readonly isLagEstimated: boolean
  /** Age of the oldest event that is not applied; 0 when all are. By the deployment's clock. */
  readonly lagMs: number
  /** Records that are not archived yet. */
  readonly unarchivedRecords: number
  /** Everything appended before this time is archived; 0: nothing is. Epoch ms. */
  readonly archivedUntil: number
  /** The strictest freshness asked for by its views, in ms. */
  readonly freshnessMs: number | null
}

export async function reportSources(context: StreamContext): Promise<SourceReport[]> {
  const reports: SourceReport[] = []
  const held = await readHeldBack(context.metadata)
  const byLog = Map.groupBy(await sourceStatus(context), ({ logName }) => logName)
  for (const [logName, partitions] of byLog) {
    const [{ source, version, isRegistered }] = partitions
    const { pending, replayed, dropped, byCode } = await countDeadLetters(context, logName)
    reports.push({
      source: isRegistered ? source : `${source}.${version}`,
      lagRecords: partitions.reduce((sum, at) => sum + Math.max(0, at.endOffset - at.ingestedOffset), 0),
      deadLetters: pending,
      deadLetterCodes: byCode,
      replayed,
      dropped,
      heldBack: held.get(logName) ?? null,
    })
  }
  return reports
}

/** Where each keyed log stands, over its partitions. `freshness`: ms asked for, by view name. */
export async function reportKeyedLogs(
  context: StreamContext,
  partitions: readonly PartitionStatus[],
  freshness: ReadonlyMap<string, number>,
): Promise<KeyedLogReport[]> {
  const reports: KeyedLogReport[] = []
  const archive = await context.metadata.listProgress<ArchiveProgress>('archive')
  for (const keyedLog of await context.registry.keyedLogs()) {
    const own = partitions.filter((at) => at.keyedLog === keyedLog.name)
    if (own.length === 0) continue
    const lags = await Promise.all(own.map((at) => lagOf(context, keyedLog, at)))
    const views = keyedLog.views.map(({ plan }) => plan.name)
    const asked = views.flatMap((view) => freshness.get(view) ?? [])
    reports.push({
      keyedLog: keyedLog.name,
      views,
      lagEvents: lags.reduce((sum, { events }) => sum + events, 0),
      isLagEstimated: lags.some(({ isEstimated }) => isEstimated),
      lagMs: Math.max(...lags.map(({ ms }) => ms)),
      unarchivedRecords: own.reduce((sum, at) => sum + Math.max(0, at.endOffset - at.archivedOffset), 0),
      archivedUntil: Math.min(...own.map((at) => archive.get(`${at.keyedLog}/${at.partition}`)?.completeUntil ?? 0)),
      freshnessMs: asked.length === 0 ? null : Math.min(...asked),
    })
  }
  return reports
}

async function lagOf(
  context: StreamContext,
  keyedLog: KeyedLog,
  at: PartitionStatus,
): Promise<{ events: number; isEstimated: boolean; ms: number }> {
  const behind = at.endOffset - at.appliedOffset
  if (behind <= 0) return { events: 0, isEstimated: false, ms: 0 }
  const records = await context.log.read(keyedTopic(keyedLog.name), at.partition, at.appliedOffset, FETCH_BYTES)
  const opened = records.slice(0, COUNTED_RECORDS_MAX)
  if (opened.length === 0) return { events: 0, isEstimated: false, ms: 0 }
  const counted = opened.reduce((sum, { value }) => sum + eventsOf(value, keyedLog), 0)
  const isEstimated = opened[opened.length - 1].offset + 1 < at.endOffset
  return {
    events: isEstimated ? Math.round((counted / opened.length) * behind) : counted,
    isEstimated,
    ms: Math.max(0, Math.floor(context.log.now()) - opened[0].appendTime),
  }
}

/** Events of a block; a damaged one counts as one: its partition has stopped, and status must tell of it all the same. */
function eventsOf(value: Uint8Array, { source }: KeyedLog): number {
  try {
    return decodeKeyedBlock(value, source.fields).length
  } catch {
    return 1
  }
}
