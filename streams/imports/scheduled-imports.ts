import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { newestScheduled } from '../../registry/schedules.ts'
import type { StreamContext } from '../stream-context.ts'
import { beginSchedule, readSchedule, writeSchedule } from './schedule-progress.ts'
import { TableRun } from './table-run.ts'
import type { ScheduledImportsOptions } from './table-run.ts'

/**
 * Imports tables when their schedules say so, file by file in the order of their names: new files once each, or what a snapshot has that the one before had not. A time that passed while
 * nobody ran is made up for once, a time that comes while a run is at work is refused. One process at a time may do this on a deployment.
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
      const held = await readSchedule(this.#context, table.source)
      if (held === null) {
        await writeSchedule(this.#context, table.source, beginSchedule(this.#now()))
        continue
      }
      const due = newestScheduled(table.schedule, this.#now())
      if (due === null || due <= held.doneUntil) continue
      try {
        if (await new TableRun(this.#context, this.#options, table, held).run(due, signal)) runs++
      } catch (error) {
        // Its history is being filled: the run goes on when that is over.
        if (!isTidemarkError(error) || error.code !== 'TM_SOURCE_FILLING') throw error
      }
    }
    return runs
  }

  #now(): number {
    return Math.floor(this.#options.now())
  }
}
