import type { TableSchedule } from '../../registry/schedules.ts'
import { countScheduled, newestScheduled, nextScheduled } from '../../registry/schedules.ts'
import type { FileMark } from '../../stores/table-files/table-files.ts'
import type { Accepted } from '../produce.ts'
import type { StreamContext } from '../stream-context.ts'
import type { SnapshotProgress } from './snapshot-changes.ts'

const SCOPE = 'schedule'
const EVENTS_MAX = 20
/** More scheduled times than that are not counted one by one. */
const TIMES_MAX = 10_000

/** One import that a schedule asked for. Times: epoch ms of the deployment's clock. */
export interface ScheduledRun extends Accepted {
  readonly scheduledFor: number
  readonly startedAt: number
  readonly endedAt: number
  /** Files that were taken in, from the project's folder. */
  readonly files: readonly string[]
  /** Files that were not, each with the cause; the next run tries them again. */
  readonly problems: readonly { readonly file: string; readonly code: string; readonly message: string }[]
  /** Rows that a snapshot had no more: a source knows no deletion, so their values stay. */
  readonly vanished: number
}

/** Something that did not go as the schedule says. Times: epoch ms of the deployment's clock. */
export interface ScheduleEvent {
  /** 'missed': times passed while nothing ran; 'overlapped': they came while a run was at work, and were refused; 'late': a run was not over by its deadline. */
  readonly kind: 'missed' | 'overlapped' | 'late'
  /** The newest of the times. */
  readonly scheduledFor: number
  readonly times: number
  readonly at: number
}

/** Progress scope `schedule`, by table. */
export interface ScheduleProgress {
  /** Scheduled times up to here are over. */
  readonly doneUntil: number
  readonly running: { readonly scheduledFor: number; readonly startedAt: number } | null
  readonly last: ScheduledRun | null
  /** The newest last. */
  readonly events: readonly ScheduleEvent[]
  readonly files: Readonly<Record<string, FileMark>>
  readonly snapshot: SnapshotProgress
}

export function beginSchedule(now: number): ScheduleProgress {
  return {
    doneUntil: now,
    running: null,
    last: null,
    events: [],
    files: {},
    snapshot: { previous: null, taken: 0, pending: null },
  }
}

export function readSchedule({ metadata }: StreamContext, table: string): Promise<ScheduleProgress | null> {
  return metadata.readProgress<ScheduleProgress>(SCOPE, table)
}

export async function writeSchedule(
  { metadata }: StreamContext,
  table: string,
  progress: ScheduleProgress,
): Promise<void> {
  const events = progress.events.slice(-EVENTS_MAX)
  await metadata.writeProgress(SCOPE, table, { ...progress, events } satisfies ScheduleProgress)
}

/** Scheduled times after `after`, up to and with `until`, as an event; null: there was none. */
export function passedTimes(
  kind: 'missed' | 'overlapped',
  schedule: TableSchedule,
  span: { readonly after: number; readonly until: number; readonly at: number },
): ScheduleEvent | null {
  const times = countScheduled(schedule, span.after, span.until, TIMES_MAX)
  const scheduledFor = times === 0 ? null : newestScheduled(schedule, span.until)
  return scheduledFor === null ? null : { kind, scheduledFor, times, at: span.at }
}

export interface ScheduleReport extends TableSchedule {
  readonly source: string
  /** Epoch ms; null: never. */
  readonly next: number | null
  /** At work now, or ended by a crash in the middle and to be gone on with; null: neither. */
  readonly running: ScheduleProgress['running']
  /** The time that should be over by now and is not, whether or not a run is at work; null: none. Needs a deadline. */
  readonly lateSince: number | null
  readonly last: ScheduledRun | null
  /** The newest last, at most 20. */
  readonly events: readonly ScheduleEvent[]
}

/** Every scheduled table: when it is imported next, how the last time went, and what did not go as it should. */
export async function reportSchedules({ registry, metadata }: StreamContext, now: number): Promise<ScheduleReport[]> {
  const progress = await metadata.listProgress<ScheduleProgress>(SCOPE)
  return (await registry.schedules()).map(({ source, schedule }) => {
    const held = progress.get(source)
    const due = newestScheduled(schedule, now)
    const isDue = held !== undefined && due !== null && due > held.doneUntil
    const late = held === undefined ? null : lateTime(schedule, held.doneUntil, now)
    return {
      source,
      ...schedule,
      next: isDue ? due : nextScheduled(schedule, now),
      running: held?.running ?? null,
      lateSince: late,
      last: held?.last ?? null,
      events: held?.events ?? [],
    }
  })
}

/** The deadline that passed first among the times that are not over, or null. */
function lateTime(schedule: TableSchedule, doneUntil: number, now: number): number | null {
  const first = nextScheduled(schedule, doneUntil)
  if (schedule.deadlineMs === null || first === null) return null
  const deadline = first + schedule.deadlineMs
  return deadline < now ? deadline : null
}
