import assert from 'node:assert/strict'
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { openTableFiles } from '../../stores/table-files/open-table-files.ts'
import type { TableFiles } from '../../stores/table-files/table-files.ts'
import { reportSchedules } from '../../streams/imports/schedule-progress.ts'
import type { ScheduledRun, ScheduleEvent, ScheduleReport } from '../../streams/imports/schedule-progress.ts'
import { ScheduledImports } from '../../streams/imports/scheduled-imports.ts'
import { Platform } from './platform.ts'

/** A deployment with one scheduled table, begun at noon of 2024-06-01, UTC. */
export class TableSchedule {
  readonly platform: Platform
  readonly runs: [table: string, run: ScheduledRun][] = []
  readonly events: ScheduleEvent[] = []
  /** Called when a run looks for files, and when it asks for a file's mark. */
  onFind: () => void = () => {}
  onSettle: () => void = () => {}
  #imports: ScheduledImports

  private constructor(platform: Platform) {
    this.platform = platform
    this.#imports = this.#open()
  }

  static async open(context: TestContext, definitions: string): Promise<TableSchedule> {
    const schedule = new TableSchedule(await Platform.open(context, definitions, { now: Date.UTC(2024, 5, 1, 12) }))
    assert.equal(await schedule.look(), 0, 'the first look only marks where the schedule begins')
    return schedule
  }

  look(signal: AbortSignal = new AbortController().signal): Promise<number> {
    return this.#imports.runOnce(signal)
  }

  async report(): Promise<ScheduleReport> {
    const [report] = await reportSchedules(this.platform.context, this.platform.clock.ms)
    return report
  }

  async restart(): Promise<void> {
    await this.platform.restart()
    this.#imports = this.#open()
  }

  /** A file that nobody has written to for a minute, or for so many. */
  write(file: string, text: string, minutesAgo = 1): void {
    const path = join(this.platform.directory, file)
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, text)
    const then = new Date(Date.now() - minutesAgo * 60_000)
    utimesSync(path, then, then)
  }

  #open(): ScheduledImports {
    const { context, clock } = this.platform
    return new ScheduledImports(context, {
      files: this.#files(),
      now: () => clock.ms,
      onRun: (table, run) => this.runs.push([table, run]),
      onEvent: (_, event) => this.events.push(event),
    })
  }

  #files(): TableFiles {
    const { directory: folder, context } = this.platform
    const temporaryPath = (suffix: string): Promise<string> => context.objects.temporaryPath(suffix)
    const files = openTableFiles({ folder, wallClock: Date.now, temporaryPath })
    return {
      ...files,
      find: (globs) => {
        this.onFind()
        return files.find(globs)
      },
      settled: (file, signal) => {
        this.onSettle()
        return files.settled(file, signal)
      },
    }
  }
}
