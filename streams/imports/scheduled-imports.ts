import { glob, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { ScheduledTable } from '../../registry/registry.ts'
import { newestScheduled, nextScheduled } from '../../registry/schedules.ts'
import { failStream } from '../errors.ts'
import { importFiles } from './import-files.ts'
import type { Accepted } from '../produce.ts'
import type { StreamContext } from '../stream-context.ts'

const SCOPE = 'schedule'
/** A file is taken in when it has not been written to for so long. */
const QUIET_MS = 2000
const LOOK_AGAIN_MS = 250

/** One import that a schedule asked for. Times: epoch ms of the deployment's clock. */
export interface ScheduledRun extends Accepted {
  readonly scheduledFor: number
  readonly startedAt: number
  readonly endedAt: number
  /** Files that were taken in, from the project's folder. */
  readonly files: readonly string[]
  /** Files that were not, each with the cause; the next run tries them again. */
  readonly problems: readonly { readonly file: string; readonly code: string; readonly message: string }[]
}

/** Progress scope `schedule`, by table. */
interface ScheduleProgress {
  /** Scheduled times up to here are over. */
  readonly doneUntil: number
  readonly last: ScheduledRun | null
  readonly files: Readonly<Record<string, FileMark>>
}

interface FileMark {
  readonly bytes: number
  readonly modifiedMs: number
}

export interface ScheduledImportsOptions {
  /** The project's folder. */
  readonly directory: string
  /** Epoch ms of the deployment. */
  readonly now: () => number
  /** Epoch ms, of the machine that the files lie on. */
  readonly wallClock: () => number
  /** Told of each run when it is over. */
  readonly onRun?: (table: string, run: ScheduledRun) => void
}

/**
 * Imports tables when their schedules say so: new files only, in the order of their names. A time that passed while nobody ran is made up for once. A file that was taken in
 * and has changed is a problem of the run: its old rows would count twice. One process at a time may do this on a deployment.
 */
export class ScheduledImports {
  readonly #context: StreamContext
  readonly #options: ScheduledImportsOptions

  constructor(context: StreamContext, options: ScheduledImportsOptions) {
    this.#context = context
    this.#options = options
  }

  /** Runs what is due. Returns how many runs that were. */
  async runOnce(signal: AbortSignal): Promise<number> {
    let runs = 0
    for (const table of await this.#context.registry.schedules()) {
      if (signal.aborted) break
      const held = await this.#progress(table.source)
      if (held === null) {
        const progress: ScheduleProgress = { doneUntil: this.#now(), last: null, files: {} }
        await this.#context.metadata.writeProgress(SCOPE, table.source, progress)
        continue
      }
      const due = newestScheduled(table.schedule, this.#now())
      if (due === null || due <= held.doneUntil) continue
      await this.#run(table, held, due, signal)
      runs++
    }
    return runs
  }

  async #run(table: ScheduledTable, held: ScheduleProgress, scheduledFor: number, signal: AbortSignal): Promise<void> {
    const { directory, onRun } = this.#options
    const startedAt = this.#now()
    const marks: Record<string, FileMark> = { ...held.files }
    const problems: ScheduledRun['problems'][number][] = []
    const taken: string[] = []
    const total: { accepted: number; refused: number; codes: Record<string, number> } = {
      accepted: 0,
      refused: 0,
      codes: {},
    }
    for (const file of await findFiles(directory, table.schedule.files)) {
      try {
        const mark = await this.#settled(join(directory, file), signal)
        if (signal.aborted) return
        if (isTaken(file, marks[file], mark)) continue
        const result = await importFiles(this.#context, table.source, [join(directory, file)], {
          arrival: null,
          signal,
        })
        // Stopped in the middle: the run is not over, and the next one goes on from where this file stands.
        if (signal.aborted) return
        marks[file] = mark
        taken.push(file)
        total.accepted += result.accepted
        total.refused += result.refused
        for (const [code, count] of Object.entries(result.codes)) total.codes[code] = (total.codes[code] ?? 0) + count
      } catch (error) {
        if (!isTidemarkError(error) || error.disposition === 'retry') throw error
        problems.push({ file, code: error.code, message: error.message })
      }
    }
    const run: ScheduledRun = { scheduledFor, startedAt, endedAt: this.#now(), files: taken, problems, ...total }
    const progress: ScheduleProgress = { doneUntil: scheduledFor, last: run, files: marks }
    await this.#context.metadata.writeProgress(SCOPE, table.source, progress)
    onRun?.(table.source, run)
  }

  /** Waits until nobody writes to a file any more. */
  async #settled(path: string, signal: AbortSignal): Promise<FileMark> {
    for (;;) {
      const { size, mtimeMs } = await stat(path)
      const quietMs = this.#options.wallClock() - mtimeMs
      if (signal.aborted || quietMs >= QUIET_MS || quietMs < 0) return { bytes: size, modifiedMs: mtimeMs }
      await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
    }
  }

  #progress(table: string): Promise<ScheduleProgress | null> {
    return this.#context.metadata.readProgress<ScheduleProgress>(SCOPE, table)
  }

  #now(): number {
    return Math.floor(this.#options.now())
  }
}

/** TM_FILE_CHANGED. */
function isTaken(file: string, before: FileMark | undefined, now: FileMark): boolean {
  if (before === undefined) return false
  if (before.bytes === now.bytes && before.modifiedMs === now.modifiedMs) return true
  throw failStream(
    'TM_FILE_CHANGED',
    `${file} was imported and has changed since: taken in again, the rows that it had would count twice. Restore it and write new rows into a new file`,
    { details: { file } },
  )
}

async function findFiles(directory: string, globs: readonly string[]): Promise<string[]> {
  const found = new Set<string>()
  for await (const entry of glob([...globs], { cwd: directory, withFileTypes: true }))
    if (entry.isFile() && !entry.name.startsWith('.'))
      found.add(relative(directory, join(entry.parentPath, entry.name)))
  return [...found].sort()
}

export interface ScheduleReport {
  readonly source: string
  readonly cron: string
  readonly files: readonly string[]
  /** Epoch ms; null: never. */
  readonly next: number | null
  readonly last: ScheduledRun | null
}

/** Every scheduled table: when it is imported next, and how the last time went. */
export async function reportSchedules({ registry, metadata }: StreamContext, now: number): Promise<ScheduleReport[]> {
  const progress = await metadata.listProgress<ScheduleProgress>(SCOPE)
  return (await registry.schedules()).map(({ source, schedule }) => {
    const held = progress.get(source)
    const due = newestScheduled(schedule, now)
    const isDue = held !== undefined && due !== null && due > held.doneUntil
    return { source, ...schedule, next: isDue ? due : nextScheduled(schedule, now), last: held?.last ?? null }
  })
}
