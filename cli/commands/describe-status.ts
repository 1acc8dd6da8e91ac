import type { ParkedVersion } from '../../streams/apply/parked-views.ts'
import type { ViewFunctionFailure } from '../../streams/apply/function-failures.ts'
import { describeSchedules } from './describe-schedules.ts'
import { describeHeldBack } from '../../streams/ingest/held-back.ts'
import type { KeyedLogReport, SourceReport } from '../../streams/status.ts'
import type { StoppedPartition } from '../../streams/stopped-partitions.ts'
import type { ViewProgress } from '../../streams/apply/live-views.ts'
import { describeCount, describeMs, describeTime } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { formatTable } from '../terminal/table.ts'
import { buildingRows } from './describe-building.ts'
import { describePartitions, describeWorkers } from './describe-workers.ts'
import type { Presence } from '../presence.ts'
import type { Status } from './read-status.ts'

/** What `status` says to people. `verbose`: partitions too. */
export function describeStatus(status: Status, verbose: boolean): string[] {
  const { sources, keyedLogs, partitions, parts } = status
  const workers = describeWorkers(parts)
  return [
    ...describeProcesses(status),
    ...describeOwners(status),
    ...(workers.length === 0 ? [] : ['', ...workers]),
    ...(sources.length === 0 ? ['Nothing is registered: run `tidemark apply`.'] : ['', ...describeSources(sources)]),
    ...(keyedLogs.length === 0 ? [] : ['', ...describeKeyedLogs(keyedLogs)]),
    ...describeBuilding(status.views),
    ...describeParked(status.parked),
    ...describeSchedules(status.schedules),
    ...describeStored(status),
    ...describeFailures(status.functionFailures),
    ...describeStopped(status.stopped),
    ...(verbose && partitions.length > 0 ? ['', ...describePartitions(partitions, parts)] : []),
  ]
}

function describeStored({ servedLog, expiredKeys, forgotten }: Status): string[] {
  const lines: string[] = []
  if (servedLog.since !== null)
    lines.push(
      `Served log: ${describeCount(servedLog.records)} vectors, about ${describeCount(Math.ceil(servedLog.bytes / 1e6))} MB, since ${describeTime(servedLog.since)}.`,
    )
  const expired = Object.entries(expiredKeys)
  if (expired.length > 0)
    lines.push(`Expired states deleted: ${expired.map(([view, keys]) => `${view} ${describeCount(keys)}`).join(', ')}.`)
  if (!forgotten.isDone)
    lines.push(paint('yellow', 'A `tidemark forget` was cut short: run it again with the same key.'))
  else if (forgotten.isRewritePending)
    lines.push(
      paint('yellow', 'Forgotten keys may be left in free parts of the database files until all processes end.'),
    )
  return lines.length === 0 ? [] : ['', ...lines]
}

function describeProcesses({ processes, now, simulatedClock, caughtUp }: Status): string[] {
  const clock = `Clock ${describeTime(now)}${simulatedClock ? ' (simulated)' : ''}.`
  const state = caughtUp
    ? `${paint('green', 'Caught up')}: everything appended is applied and archived.`
    : `${paint('yellow', 'Catching up')}.`
  if (processes.length === 0)
    return [`Not running: commands do the work themselves; \`tidemark start\` does it all the time. ${clock}`, state]
  return [...describeRoles(processes), '', `${clock} ${state}`]
}

/** Which roles run, and what each waits for. */
export function describeRoles(processes: readonly Presence[]): string[] {
  const rows = processes.flatMap(({ name, url, roles }) =>
    roles.map(({ role, state: at, pid, restarts, error, waitsFor }) => [
      role,
      waitsFor.length > 0 ? paint('yellow', 'waiting') : at === 'running' ? paint('green', at) : paint('red', at),
      name === 'start' ? 'of start' : 'alone',
      pid === null ? '-' : `pid ${pid}`,
      [
        role === 'serve' ? (url ?? '') : '',
        restarts > 0 ? `restarted ${restarts}×` : '',
        error?.code ?? '',
        ...waitsFor.map(({ code, since }) => `${code} since ${describeTime(since)}`),
      ]
        .filter((text) => text !== '')
        .join(' '),
    ]),
  )
  return formatTable(['role', 'state', '', 'process', ''], rows)
}

/** Owners that no line tells of, and those that hang. */
function describeOwners({ owners, processes }: Status): string[] {
  const shown = new Set(processes.flatMap(({ roles }) => roles.map(({ pid }) => pid)))
  return owners.flatMap(({ role, pid, silentMs, hangs }) => {
    if (hangs)
      return [
        `${paint('red', 'hangs')}: ${role}, process ${pid}, has not moved for ${describeMs(silentMs)}. Another worker on this machine ends it; else end it yourself.`,
      ]
    return shown.has(pid) ? [] : [`${role}: process ${pid} does it now.`]
  })
}

function describeSources(sources: readonly SourceReport[]): string[] {
  const rows = sources.map(({ source, lagRecords, deadLetters, deadLetterCodes, replayed, dropped, heldBack }) => {
    const codes = [...Object.entries(deadLetterCodes), ['replayed', replayed] as const, ['dropped', dropped] as const]
      .filter(([, count]) => count > 0)
      .map(([code, count]) => `${code} ${describeCount(count)}`)
    return [
      source,
      describeCount(lagRecords),
      deadLetters === 0 ? '0' : paint('yellow', describeCount(deadLetters)),
      codes.join(', '),
      heldBack === null ? '' : paint('yellow', `held back by ${describeHeldBack(heldBack)}`),
    ]
  })
  return formatTable(['source', 'records to ingest', 'dead letters', 'by code', ''], rows)
}

function describeKeyedLogs(keyedLogs: readonly KeyedLogReport[]): string[] {
  const rows = keyedLogs.map((log) => [
    log.keyedLog,
    log.views.join(' '),
    `${log.isLagEstimated ? '≈' : ''}${describeCount(log.lagEvents)}`,
    log.lagMs === 0 ? '-' : describeMs(log.lagMs),
    describeFreshness(log),
    log.archivedUntil === 0 ? 'nothing yet' : describeTime(log.archivedUntil),
  ])
  return formatTable(['keyed log', 'views', 'events behind', 'time behind', 'freshness', 'archived until'], rows)
}

function describeFreshness({ freshnessMs, lagMs }: KeyedLogReport): string {
  if (freshnessMs === null) return '-'
  const asked = `(asked: ${describeMs(freshnessMs)})`
  return lagMs <= freshnessMs ? `${paint('green', 'fresh')} ${asked}` : `${paint('red', 'late')} ${asked}`
}

function describeBuilding(views: readonly ViewProgress[]): string[] {
  const rows = buildingRows(views)
  return rows.length === 0 ? [] : ['', ...formatTable(['being built', 'version', '', 'done'], rows)]
}

function describeParked(parked: readonly ParkedVersion[]): string[] {
  const kept = parked.filter(({ dropped }) => !dropped)
  if (kept.length === 0) return []
  const rows = kept.map(({ view, version, since, dropAt }) => [
    view,
    version.slice(0, 12),
    describeTime(since),
    describeTime(dropAt),
  ])
  return ['', ...formatTable(['read by nothing', 'version', 'since', 'its states go'], rows)]
}

function describeFailures(failures: readonly ViewFunctionFailure[]): string[] {
  if (failures.length === 0) return []
  const rows = failures.map(({ view, version, function: of, code, count }) => [
    view,
    version.slice(0, 12),
    of,
    code,
    paint('yellow', describeCount(count)),
  ])
  return ['', ...formatTable(['function of view', 'version', 'for', 'gave null', 'events'], rows)]
}

function describeStopped(stopped: readonly StoppedPartition[]): string[] {
  if (stopped.length === 0) return []
  const rows = stopped.map(({ partition, code, message }) => [partition, paint('red', code), message])
  return ['', ...formatTable(['partition stopped', 'code', ''], rows)]
}
