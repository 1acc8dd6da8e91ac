import { parseDuration } from '../../registry/durations.ts'
import { reportParkedViews } from '../../streams/apply/parked-views.ts'
import type { ParkedVersion } from '../../streams/apply/parked-views.ts'
import { readFunctionFailures } from '../../streams/apply/function-failures.ts'
import type { ViewFunctionFailure } from '../../streams/apply/function-failures.ts'
import { reportSchedules } from '../../streams/imports/schedule-progress.ts'
import type { ScheduleReport } from '../../streams/imports/schedule-progress.ts'
import { reportKeyedLogs, reportSources } from '../../streams/status.ts'
import type { KeyedLogReport, SourceReport } from '../../streams/status.ts'
import { readStopped } from '../../streams/stopped-partitions.ts'
import type { StoppedPartition } from '../../streams/stopped-partitions.ts'
import { readPartOwners } from '../../streams/workers/worker-group.ts'
import type { PartOwner } from '../../streams/workers/worker-group.ts'
import { viewProgress } from '../../streams/apply/live-views.ts'
import type { ViewProgress } from '../../streams/apply/live-views.ts'
import { partitionStatus } from '../../streams/wait.ts'
import type { PartitionStatus } from '../../streams/wait.ts'
import { servedExtent } from '../../inference/served-retention.ts'
import type { ServedExtent } from '../../inference/served-retention.ts'
import { ForgottenKeys } from '../../registry/forgotten-keys.ts'
import { readExpiredKeys } from '../../streams/apply/expired-keys.ts'
import type { Project } from '../open-project.ts'
import { livePresences } from '../presence.ts'
import type { Presence } from '../presence.ts'
import { roleOwners } from '../roles/role-lease.ts'
import type { RoleOwner } from '../roles/role-lease.ts'

export interface Status {
  readonly running: boolean
  readonly caughtUp: boolean
  /** The deployment's clock, epoch ms, and whether it is simulated. */
  readonly now: number
  readonly simulatedClock: boolean
  readonly processes: readonly Presence[]
  /** Who streams and who archives now: a role, or a command that does it itself. */
  readonly owners: readonly RoleOwner[]
  /** Which worker, on whichever machine, has which part of the streams' and the archive's work. */
  readonly parts: readonly PartOwner[]
  readonly ingestLagRecords: number
  readonly sources: readonly SourceReport[]
  readonly keyedLogs: readonly KeyedLogReport[]
  readonly partitions: readonly PartitionStatus[]
  /** By source. */
  readonly deadLetters: Readonly<Record<string, number>>
  /** By source, then code. */
  readonly deadLetterCodes: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly views: readonly ViewProgress[]
  /** View versions that nothing reads any more: their states go, or went, at `dropAt`. */
  readonly parked: readonly ParkedVersion[]
  /** Served vectors that are kept for `verify`. */
  readonly servedLog: ServedExtent
  /** States deleted as nothing can read them any more, by view. */
  readonly expiredKeys: Readonly<Record<string, number>>
  /** Keys that were forgotten, whether all of that came to its end, and whether database files wait to be written anew. */
  readonly forgotten: { readonly keys: number; readonly isDone: boolean; readonly isRewritePending: boolean }
  /** Tables with a schedule. */
  readonly schedules: readonly ScheduleReport[]
  /** Calls of the views' functions that gave null, as they threw or returned what their type does not allow. */
  readonly functionFailures: readonly ViewFunctionFailure[]
  /** Partitions of sources and keyed logs that stopped for good, while the others go on. */
  readonly stopped: readonly StoppedPartition[]
}

export async function readStatus(project: Project): Promise<Status> {
  const processes = await livePresences(project.dataFolder)
  const partitions = await partitionStatus(project)
  const sources = await reportSources(project)
  const views = await viewProgress(project)
  const freshness = new Map(
    (await project.registry.catalog()).flatMap(({ kind, name, freshness: asked }) => {
      const ms = kind === 'view' && asked !== null ? parseDuration(asked) : null
      return ms === null ? [] : [[name, ms]]
    }),
  )
  const ingestLagRecords = sources.reduce((sum, { lagRecords }) => sum + lagRecords, 0)
  return {
    running: processes.some(({ name }) => name === 'start'),
    caughtUp:
      ingestLagRecords === 0 &&
      views.every(({ live }) => live) &&
      partitions.every((at) => at.appliedOffset >= at.endOffset && at.archivedOffset >= at.endOffset),
    now: Math.floor(project.now()),
    simulatedClock: project.isClockSimulated,
    processes,
    owners: (['stream', 'archive'] as const).flatMap((role) => roleOwners(project.dataFolder, role)),
    parts: await readPartOwners(project.metadata.leases),
    ingestLagRecords,
    sources,
    keyedLogs: await reportKeyedLogs(project, partitions, freshness),
    partitions,
    deadLetters: Object.fromEntries(sources.map(({ source, deadLetters }) => [source, deadLetters])),
    deadLetterCodes: Object.fromEntries(sources.map(({ source, deadLetterCodes }) => [source, deadLetterCodes])),
    views,
    parked: await reportParkedViews(project, project.stateGraceMs),
    servedLog: await servedExtent(project.log),
    expiredKeys: await readExpiredKeys(project.metadata),
    forgotten: await reportForgotten(project),
    schedules: await reportSchedules(project, Math.floor(project.now())),
    functionFailures: await readFunctionFailures(project.metadata),
    stopped: await readStopped(project.metadata),
  }
}

async function reportForgotten({ metadata, gates }: Project): Promise<Status['forgotten']> {
  const list = await (await ForgottenKeys.open(metadata)).list()
  return { keys: list.length, isDone: list.every(({ isDone }) => isDone), isRewritePending: gates.isRewritePending }
}
