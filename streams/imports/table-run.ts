import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { ScheduledTable } from '../../registry/registry.ts'
import { isSameMark } from '../../stores/table-files/table-files.ts'
import type { FileMark, TableFile, TableFiles } from '../../stores/table-files/table-files.ts'
import { failStream } from '../errors.ts'
import type { StreamContext } from '../stream-context.ts'
import { importFiles } from './import-files.ts'
import { passedTimes, writeSchedule } from './schedule-progress.ts'
import type { ScheduledRun, ScheduleEvent, ScheduleProgress } from './schedule-progress.ts'
import { compareSnapshot, dropComparisons } from './snapshot-changes.ts'

/** How often a run looks whether it is late. */
const LATE_LOOK_MS = 250

export interface ScheduledImportsOptions {
  readonly files: TableFiles
  /** Epoch ms of the deployment. */
  readonly now: () => number
  /** Told of each run when it is over. */
  readonly onRun?: (table: string, run: ScheduledRun) => void
  /** Told of what did not go as the schedule says, when it is found. */
  readonly onEvent?: (table: string, event: ScheduleEvent) => void
}

/** One run of a table; what is known of it is written at every step. */
export class TableRun {
  readonly #context: StreamContext
  readonly #options: ScheduledImportsOptions
  readonly #table: ScheduledTable
  #progress: ScheduleProgress
  readonly #taken: string[] = []
  readonly #problems: ScheduledRun['problems'][number][] = []
  readonly #codes: Record<string, number> = {}
  #accepted = 0
  #refused = 0
  #vanished = 0

  constructor(
    context: StreamContext,
    options: ScheduledImportsOptions,
    table: ScheduledTable,
    progress: ScheduleProgress,
  ) {
    this.#context = context
    this.#options = options
    this.#table = table
    this.#progress = progress
  }

  /** Whether it came to its end; aborted in the middle, the next one goes on from there. */
  async run(scheduledFor: number, signal: AbortSignal): Promise<boolean> {
    const { schedule } = this.#table
    const startedAt = this.#now()
    const { doneUntil } = this.#progress
    // What a run before began, and did not end, was not missed.
    const begun = Math.max(doneUntil, this.#progress.running?.scheduledFor ?? 0)
    const span = { after: begun, until: scheduledFor - 1, at: startedAt }
    await this.#tell(passedTimes('missed', schedule, span), { running: { scheduledFor, startedAt } })
    const watch = this.#watchDeadline(scheduledFor)
    try {
      await this.#takeFiles(signal)
    } finally {
      await watch.end()
    }
    if (signal.aborted) return false
    const endedAt = this.#now()
    const run: ScheduledRun = {
      scheduledFor,
      startedAt,
      endedAt,
      files: this.#taken,
      problems: this.#problems,
      vanished: this.#vanished,
      accepted: this.#accepted,
      refused: this.#refused,
      codes: this.#codes,
    }
    const overlapped = passedTimes('overlapped', schedule, { after: scheduledFor, until: endedAt, at: endedAt })
    await this.#tell(overlapped, {
      running: null,
      last: run,
      doneUntil: overlapped?.scheduledFor ?? scheduledFor,
    })
    this.#options.onRun?.(this.#table.source, run)
    return true
  }

  async #takeFiles(signal: AbortSignal): Promise<void> {
    const isSnapshot = this.#table.schedule.contents === 'snapshot'
    if (isSnapshot && !(await this.#finishPending(signal))) return
    for (const file of await this.#options.files.find(this.#table.schedule.files)) {
      if (signal.aborted) return
      try {
        const mark = await this.#options.files.settled(file, signal)
        if (signal.aborted) return
        if (isSnapshot) await this.#takeSnapshot(file, mark, signal)
        else await this.#takeFile(file, mark, signal)
      } catch (error) {
        if (!isTidemarkError(error) || error.disposition === 'retry') throw error
        this.#problems.push({ file: file.name, code: error.code, message: error.message })
        // A later snapshot is not compared past one that could not be read.
        if (isSnapshot) return
      }
    }
  }

  async #takeFile(file: TableFile, mark: FileMark, signal: AbortSignal): Promise<void> {
    const before = this.#progress.files[file.name]
    if (before !== undefined) {
      if (isSameMark(before, mark)) return
      throw failStream(
        'TM_FILE_CHANGED',
        `${file.name} was imported and has changed since: taken in again, the rows that it had would count twice. Restore it and write new rows into a new file, or say \`contents: 'snapshot'\` in the schedule`,
        { details: { file: file.name } },
      )
    }
    const local = await this.#options.files.open({ ...file, mark })
    try {
      if (!(await this.#import(local.path, file.name, signal))) return
    } finally {
      await local.release()
    }
    this.#taken.push(file.name)
    await this.#write({ files: { ...this.#progress.files, [file.name]: mark } })
  }

  async #takeSnapshot(file: TableFile, mark: FileMark, signal: AbortSignal): Promise<void> {
    const { snapshot, files } = this.#progress
    const before = files[file.name]
    if (before !== undefined && isSameMark(before, mark)) return
    await dropComparisons(this.#context, this.#table.source, snapshot)
    const local = await this.#options.files.open({ ...file, mark })
    try {
      const source = await this.#context.registry.source(this.#table.source)
      const pending = await compareSnapshot(
        this.#context,
        source,
        { name: file.name, path: local.path, mark },
        snapshot,
      )
      const after = await this.#options.files.settled(file, signal)
      // Written to while it was read: the next run has all of it.
      if (!isSameMark(after, mark)) return
      await this.#write({ snapshot: { ...snapshot, pending } })
    } finally {
      await local.release()
    }
    await this.#finishPending(signal)
  }

  /** Takes in what a comparison found. Returns whether it came to its end. */
  async #finishPending(signal: AbortSignal): Promise<boolean> {
    const { snapshot, files } = this.#progress
    const { pending } = snapshot
    if (pending === null) return true
    const path = await this.#context.objects.localPath(pending.changes)
    if (!(await this.#import(path, `the changes in ${pending.file}`, signal))) return false
    this.#vanished += pending.vanished
    this.#taken.push(pending.file)
    const { object, fields } = pending
    await this.#write({
      files: { ...files, [pending.file]: pending.mark },
      snapshot: { previous: { object, fields }, taken: snapshot.taken + 1, pending: null },
    })
    await dropComparisons(this.#context, this.#table.source, this.#progress.snapshot)
    return true
  }

  /** Returns whether all of the file was taken in. */
  async #import(path: string, title: string, signal: AbortSignal): Promise<boolean> {
    const options = { arrival: null, signal, title }
    const { accepted, refused, codes } = await importFiles(this.#context, this.#table.source, [path], options)
    if (signal.aborted) return false
    this.#accepted += accepted
    this.#refused += refused
    for (const [code, count] of Object.entries(codes)) this.#codes[code] = (this.#codes[code] ?? 0) + count
    return true
  }

  /** Tells once if the run is not over by its deadline. */
  #watchDeadline(scheduledFor: number): { end(): Promise<void> } {
    const { deadlineMs } = this.#table.schedule
    if (deadlineMs === null) return { end: async () => {} }
    let late: ScheduleEvent | null = null
    const look = (): void => {
      const at = this.#now()
      if (late !== null || at <= scheduledFor + deadlineMs) return
      late = { kind: 'late', scheduledFor, times: 1, at }
      this.#options.onEvent?.(this.#table.source, late)
    }
    look()
    const timer = setInterval(look, LATE_LOOK_MS)
    return {
      end: async () => {
        clearInterval(timer)
        look()
        if (late !== null) await this.#write({ events: [...this.#progress.events, late] })
      },
    }
  }

  async #tell(event: ScheduleEvent | null, change: Partial<ScheduleProgress>): Promise<void> {
    const events = event === null ? this.#progress.events : [...this.#progress.events, event]
    await this.#write({ ...change, events })
    if (event !== null) this.#options.onEvent?.(this.#table.source, event)
  }

  async #write(change: Partial<ScheduleProgress>): Promise<void> {
    this.#progress = { ...this.#progress, ...change }
    await writeSchedule(this.#context, this.#table.source, this.#progress)
  }

  #now(): number {
    return Math.floor(this.#options.now())
  }
}
