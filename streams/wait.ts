import { failStream } from './errors.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import type { IngestCheckpoint } from './ingest.ts'
import { viewProgress } from './live-views.ts'
import { bucketsOf } from './partition-worker.ts'
import { keyedTopic, sourceTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const POLL_MS = 10

export interface PartitionStatus {
  readonly keyedLog: string
  readonly partition: number
  readonly endOffset: number
  readonly appliedOffset: number
  readonly archivedOffset: number
}

/** Where every keyed partition stands. */
export async function partitionStatus(context: StreamContext): Promise<PartitionStatus[]> {
  const status: PartitionStatus[] = []
  for (const keyedLog of await context.registry.keyedLogs()) {
    if ((await context.log.topic(keyedTopic(keyedLog.name))) === null) continue
    for (let partition = 0; partition < context.partitions; partition++) {
      const markers = await context.online.markers(keyedLog.name, bucketsOf(context, partition))
      const archive = await context.metadata.readProgress<ArchiveProgress>('archive', `${keyedLog.name}/${partition}`)
      status.push({
        keyedLog: keyedLog.name,
        partition,
        endOffset: await context.log.endOffset(keyedTopic(keyedLog.name), partition),
        appliedOffset: Math.min(...markers.map((marker) => marker?.nextOffset ?? 0)),
        archivedOffset: archive?.nextOffset ?? 0,
      })
    }
  }
  return status
}

/** Records of source topics that ingest has not read. */
export async function ingestLag(context: StreamContext): Promise<number> {
  let lag = 0
  for (const source of await context.registry.sources()) {
    if ((await context.log.topic(sourceTopic(source.name))) === null) continue
    const checkpoint = await context.metadata.readProgress<IngestCheckpoint>('ingest', source.name)
    lag += (await context.log.endOffset(sourceTopic(source.name), 0)) - (checkpoint?.nextOffset ?? 0)
  }
  return lag
}

/** True when everything appended so far is ingested, applied and archived, and every view version is live. */
export async function isCaughtUp(context: StreamContext): Promise<boolean> {
  if ((await ingestLag(context)) > 0) return false
  if (!(await viewProgress(context)).every(({ live }) => live)) return false
  const partitions = await partitionStatus(context)
  return partitions.every(
    ({ endOffset, appliedOffset, archivedOffset }) => appliedOffset >= endOffset && archivedOffset >= endOffset,
  )
}

/** Waits for workers elsewhere. TM_WAIT_TIMEOUT. */
export async function waitUntilCaughtUp(
  context: StreamContext,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let waited = 0; !(await isCaughtUp(context)); waited += POLL_MS) {
    if (waited >= timeoutMs)
      throw failStream(
        'TM_WAIT_TIMEOUT',
        `not caught up after ${timeoutMs} ms: is \`tidemark start\` running? \`tidemark status\` shows what lags`,
      )
    if (signal?.aborted === true) return
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
