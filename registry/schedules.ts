import { Cron } from 'croner'
import type { SourceDefinition } from '../features/authoring/definitions.ts'
import { S3_GLOB, s3Glob } from '../stores/table-files/s3-glob.ts'
import type { Refuse } from './compile-source.ts'
import { describeValue } from './describe-value.ts'
import { parseDuration } from './durations.ts'

const CONTENTS = ['new-files', 'snapshot'] as const
const SCHEDULE_OPTIONS = ['cron', 'timeZone', 'deadline', 'contents']

/** When a table is imported, and from where. Told in the catalogue; no part of the source's version, as it changes no value. */
export interface TableSchedule {
  /** Five fields (minute hour day month weekday). */
  readonly cron: string
  /** IANA name. */
  readonly timeZone: string
  /** As given, and in ms: how long after its time an import is late. Null: never. */
  readonly deadline: string | null
  readonly deadlineMs: number | null
  readonly contents: (typeof CONTENTS)[number]
  /** Globs, from the project's folder; or `s3://…` ones. */
  readonly files: readonly string[]
}

/** The schedule of a source, or null without one. */
export function compileSchedule(definition: SourceDefinition, refuse: Refuse): TableSchedule | null {
  const { kind, name, schedule } = definition
  if (schedule === null) {
    if (definition.files !== null)
      refuse(
        'files',
        `files of ${kind} ${name} says where its schedule finds files: give it a schedule too, or leave it out`,
      )
    return null
  }
  const of = `${kind} ${name}`
  const given = typeof schedule === 'string' ? { cron: schedule } : schedule
  if (typeof given !== 'object' || Array.isArray(given))
    refuse(
      'schedule',
      `the schedule of ${of} must be a text like '0 3 * * *', or { cron, timeZone, deadline, contents }`,
    )
  const unknown = Object.keys(given).find((option) => !SCHEDULE_OPTIONS.includes(option))
  if (unknown !== undefined)
    refuse('schedule', `the schedule of ${of} has no option ${unknown}: it takes ${SCHEDULE_OPTIONS.join(', ')}`)
  const { timeZone = 'UTC', deadline = null, contents = 'new-files' } = given
  if (!isTimeZone(timeZone))
    refuse('schedule', `timeZone of ${of} must be a time zone like 'Europe/Berlin', found ${describeValue(timeZone)}`)
  const problem = cronProblem(given.cron, timeZone)
  if (problem !== null) refuse('schedule', `the schedule ${describeValue(given.cron)} of ${of} ${problem}`)
  const deadlineMs = deadline === null ? null : parseDuration(deadline)
  if (deadline !== null && deadlineMs === null)
    refuse('schedule', `deadline of ${of} must be a duration like '30min', found ${describeValue(deadline)}`)
  if (!CONTENTS.includes(contents))
    refuse('schedule', `contents of ${of} must be 'new-files' or 'snapshot', found ${describeValue(contents)}`)
  return { cron: given.cron, timeZone, deadline, deadlineMs, contents, files: globsOf(definition, refuse) }
}

function globsOf({ kind, name, ...definition }: SourceDefinition, refuse: Refuse): string[] {
  const files: unknown = definition.files
  const globs = files === null ? [`data/${name}/*`] : Array.isArray(files) ? (files as unknown[]) : [files]
  const wrong = globs.find((glob) => typeof glob !== 'string' || glob.trim() === '')
  if (wrong !== undefined || globs.length === 0)
    refuse(
      'files',
      `files of ${kind} ${name} must be a glob like 'data/prices/*.parquet' or 's3://bucket/prices/*.parquet', or several, found ${describeValue(wrong)}`,
    )
  const far = (globs as string[]).find((glob) => glob.startsWith('s3://') && s3Glob(glob) === null)
  if (far !== undefined)
    refuse('files', `${describeValue(far)} of ${kind} ${name} names no files in S3: expected ${S3_GLOB}`)
  return globs as string[]
}

/** `0 3 * * * Europe/Berlin, snapshots from data/prices/*, within 30min`. */
export function describeSchedule({ cron, timeZone, deadline, contents, files }: TableSchedule): string {
  const zone = timeZone === 'UTC' ? '' : ` ${timeZone}`
  const snapshots = contents === 'snapshot' ? ', snapshots' : ''
  return `${cron}${zone}${snapshots} from ${files.join(', ')}${deadline === null ? '' : `, within ${deadline}`}`
}

function isTimeZone(name: unknown): boolean {
  if (typeof name !== 'string') return false
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function cronProblem(expression: unknown, timeZone: string): string | null {
  if (typeof expression !== 'string') return `must be a text of five fields, as in '0 3 * * *'`
  try {
    if (cronOf({ cron: expression, timeZone }).nextRun(new Date(0)) === null) return 'never comes'
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error)
    return `is no cron expression of five fields (minute hour day month weekday), as in '0 3 * * *': ${reason}`
  }
}

type ScheduledTimes = Pick<TableSchedule, 'cron' | 'timeZone'>

/** The newest scheduled time at or before `now`, or null. Epoch ms. */
export function newestScheduled(schedule: ScheduledTimes, now: number): number | null {
  const [newest] = cronOf(schedule).previousRuns(1, new Date(now + 1))
  return newest === undefined ? null : newest.getTime()
}

/** The first scheduled time after `now`, or null. Epoch ms. */
export function nextScheduled(schedule: ScheduledTimes, now: number): number | null {
  return cronOf(schedule).nextRun(new Date(now))?.getTime() ?? null
}

/** How many scheduled times lie after `after`, up to and with `until`; counted no further than `countMax`. Epoch ms. */
export function countScheduled(schedule: ScheduledTimes, after: number, until: number, countMax: number): number {
  const cron = cronOf(schedule)
  let count = 0
  for (let at = cron.nextRun(new Date(after)); at !== null && at.getTime() <= until && count < countMax; count++)
    at = cron.nextRun(at)
  return count
}

function cronOf({ cron, timeZone }: ScheduledTimes): Cron {
  return new Cron(cron, { paused: true, timezone: timeZone, mode: '5-part' })
}
