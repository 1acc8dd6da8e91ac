import { Cron } from 'croner'
import type { SourceDefinition } from '../features/authoring/definitions.ts'
import type { Refuse } from './compile-source.ts'
import { describeValue } from './describe-value.ts'

/** When a table is imported, and from where. Told in the catalogue; no part of the source's version, as it changes no value. */
export interface TableSchedule {
  /** Five fields (minute hour day month weekday) in UTC. */
  readonly cron: string
  /** Globs, from the project's folder. */
  readonly files: readonly string[]
}

/** The schedule of a source, or null without one. */
export function compileSchedule(definition: SourceDefinition, refuse: Refuse): TableSchedule | null {
  const { kind, name, schedule } = definition
  const files: unknown = definition.files
  if (schedule === null) {
    if (files !== null)
      refuse(
        'files',
        `files of ${kind} ${name} says where its schedule finds files: give it a schedule too, or leave it out`,
      )
    return null
  }
  const problem = cronProblem(schedule)
  if (problem !== null) refuse('schedule', `the schedule ${describeValue(schedule)} of ${kind} ${name} ${problem}`)
  const globs = files === null ? [`data/${name}/*`] : Array.isArray(files) ? (files as unknown[]) : [files]
  const wrong = globs.find((glob) => typeof glob !== 'string' || glob.trim() === '')
  if (wrong !== undefined || globs.length === 0)
    refuse(
      'files',
      `files of ${kind} ${name} must be a glob like 'data/prices/*.parquet', or several, found ${describeValue(wrong)}`,
    )
  return { cron: schedule, files: globs as string[] }
}

function cronProblem(expression: unknown): string | null {
  if (typeof expression !== 'string') return `must be a text of five fields, as in '0 3 * * *'`
  try {
    if (cronOf(expression).nextRun(new Date(0)) === null) return 'never comes'
    return null
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : String(error)
    return `is no cron expression of five fields (minute hour day month weekday), as in '0 3 * * *': ${reason}`
  }
}

/** The newest scheduled time at or before `now`, or null. Epoch ms. */
export function newestScheduled({ cron }: TableSchedule, now: number): number | null {
  const [newest] = cronOf(cron).previousRuns(1, new Date(now + 1))
  return newest === undefined ? null : newest.getTime()
}

/** The first scheduled time after `now`, or null. Epoch ms. */
export function nextScheduled({ cron }: TableSchedule, now: number): number | null {
  return cronOf(cron).nextRun(new Date(now))?.getTime() ?? null
}

function cronOf(expression: string): Cron {
  return new Cron(expression, { paused: true, timezone: 'UTC', mode: '5-part' })
}
