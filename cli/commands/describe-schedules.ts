import type { ScheduledRun, ScheduleEvent, ScheduleReport } from '../../streams/imports/schedule-progress.ts'
import { describeCount, describeTime } from '../terminal/describe-amounts.ts'
import { paint } from '../terminal/style.ts'
import { formatTable } from '../terminal/table.ts'

/** What `status` says of scheduled tables to people. */
export function describeSchedules(schedules: readonly ScheduleReport[]): string[] {
  if (schedules.length === 0) return []
  const rows = schedules.map((schedule) => [
    schedule.source,
    schedule.timeZone === 'UTC' ? schedule.cron : `${schedule.cron} ${schedule.timeZone}`,
    schedule.next === null ? 'never' : describeTime(schedule.next),
    describeState(schedule),
    schedule.last === null ? '' : describeRun(schedule.last),
  ])
  const events = schedules.flatMap(({ source, events: all }) =>
    all.slice(-1).map((event) => paint('yellow', `${source}: ${describeScheduleEvent(event)}`)),
  )
  return ['', ...formatTable(['table', 'schedule', 'next', 'last', ''], rows), ...events]
}

function describeState({ lateSince, running, last }: ScheduleReport): string {
  if (lateSince !== null) return paint('red', `late since ${describeTime(lateSince)}`)
  if (running !== null) return 'at work'
  return last === null ? '-' : describeTime(last.startedAt)
}

function describeRun({ accepted, files, refused, problems, vanished }: ScheduledRun): string {
  const codes = [...new Set(problems.map(({ code }) => code))]
  return [
    `${describeCount(accepted)} accepted from ${describeFiles(files.length)}`,
    ...(vanished === 0 ? [] : [`${describeCount(vanished)} gone from the snapshot`]),
    ...(refused === 0 ? [] : [paint('yellow', `${describeCount(refused)} refused`)]),
    ...(problems.length === 0
      ? []
      : [paint('red', `${describeFiles(problems.length)} not taken (${codes.join(', ')})`)]),
  ].join(', ')
}

/** As a sentence's end: `late: the one of 2026-01-01 03:00 UTC was not over by its deadline`. */
export function describeScheduleEvent({ kind, scheduledFor, times }: ScheduleEvent): string {
  const when = describeTime(scheduledFor)
  if (kind === 'late') return `late: the one of ${when} was not over by its deadline`
  const which = times === 1 ? when : `${describeCount(times)} times, the newest ${when}`
  return kind === 'missed'
    ? `missed ${which}: nothing ran then, one run makes up for it`
    : `refused ${which}: the run before was still at work`
}

function describeFiles(count: number): string {
  return `${describeCount(count)} ${count === 1 ? 'file' : 'files'}`
}
