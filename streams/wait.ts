import { setTimeout as pause } from 'node:timers/promises'
import { sourceLogName } from '../features/plan/source-plan.ts'
import { failStream } from './errors.ts'
import type { ArchiveProgress } from '../stores/tables/archive-layout.ts'
import { readIngestCheckpoint } from './ingest/ingest-checkpoint.ts'
import { viewProgress } from './apply/live-views.ts'
import { bucketsOf } from './apply/partition-worker.ts'
import { keyedTopic, sourceTopic, usedSources } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

/** A short wait is noticed at once, a long one costs the workers little. */
const POLL_MS_MIN = 10
const POLL_MS_MAX = 250

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

export interface SourceStatus {
  readonly source: string
  /** Number of its layout; versions before the registered one are here while something that they feed is served. */
  readonly version: number
  readonly isRegistered: boolean
  /** What its logs are named after. */
  readonly logName: string
  /** Of the source's topic. */
  readonly partition: number
  readonly endOffset: number
  readonly ingestedOffset: number
}

/** Where ingest stands in every partition of every source topic. One that no view reads waits for nothing. */
export async function sourceStatus(context: StreamContext): Promise<SourceStatus[]> {
  const status: SourceStatus[] = []
  const read = new Set((await context.registry.keyedLogs()).map(({ source }) => sourceLogName(source)))
  const registered = new Set((await context.registry.sources()).map(sourceLogName))
  for (const source of await usedSources(context)) {
    const name = sourceLogName(source)
    const topic = await context.log.topic(sourceTopic(context, source))
    for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
      const checkpoint = await readIngestCheckpoint(context, { source: name, partition })
      const endOffset = await context.log.endOffset(topic.name, partition)
      const begin = checkpoint === null ? await context.log.startOffset(topic.name, partition) : checkpoint.nextOffset
      status.push({
        source: source.name,
        version: source.version ?? 1,
        isRegistered: registered.has(name),
        logName: name,
        partition,
        endOffset,
        ingestedOffset: read.has(name) ? begin : endOffset,
      })
    }
  }
  return status
}

export interface WaitOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
  /** Only until it is applied: what is served is up to date, the archive need not be. */
  readonly applied?: boolean
  /** Records still to be ingested, applied or archived. */
  readonly onProgress?: (remaining: number) => void
}

/** Waits until everything appended before the call is ingested, applied and archived by workers elsewhere, and every view version is live; what comes later does not count. TM_WAIT_TIMEOUT. */
export async function waitUntilCaughtUp(context: StreamContext, options: WaitOptions): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  const nameOf = ({ logName, partition }: SourceStatus): string => `${logName}/${partition}`
  const sources = new Map((await sourceStatus(context)).map((at) => [nameOf(at), at.endOffset]))
  await poll(options, deadline, async () => {
    const behind = (await sourceStatus(context)).map((at) => (sources.get(nameOf(at)) ?? 0) - at.ingestedOffset)
    return sumPositive(behind)
  })
  const keyed = new Map((await partitionStatus(context)).map((at) => [`${at.keyedLog}/${at.partition}`, at.endOffset]))
  await poll(options, deadline, async () => {
    const behind = (await partitionStatus(context)).flatMap((at) => {
      const goal = keyed.get(`${at.keyedLog}/${at.partition}`) ?? 0
      return [goal - at.appliedOffset, ...(options.applied === true ? [] : [goal - at.archivedOffset])]
    })
    return sumPositive(behind)
  })
  await poll(options, deadline, async () => {
    const behind = (await viewProgress(context)).filter(({ live }) => !live)
    return sumPositive(behind.map(({ records, recordsTotal }) => Math.max(1, recordsTotal - records)))
  })
}

async function poll(options: WaitOptions, deadline: number, remaining: () => Promise<number>): Promise<void> {
  for (let pollMs = POLL_MS_MIN; ;) {
    const left = await remaining()
    if (left === 0 || options.signal?.aborted === true) return
    options.onProgress?.(left)
    if (performance.now() >= deadline)
      throw failStream(
        'TM_WAIT_TIMEOUT',
        `${left} records are not applied and archived after ${options.timeoutMs} ms: is \`tidemark start\` running? \`tidemark status\` shows what lags`,
      )
    await pause(pollMs)
    pollMs = Math.min(POLL_MS_MAX, pollMs * 1.5)
  }
}

function sumPositive(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + Math.max(n, 0), 0)
}
