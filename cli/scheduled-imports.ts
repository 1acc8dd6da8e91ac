import { openTableFiles } from '../stores/table-files/open-table-files.ts'
import { ScheduledImports } from '../streams/imports/scheduled-imports.ts'
import type { ScheduledRun, ScheduleEvent } from '../streams/imports/schedule-progress.ts'
import { SCHEDULED_IMPORTS } from '../streams/workers/ownership.ts'
import { describeAccepted } from './commands/describe-accepted.ts'
import { describeScheduleEvent } from './commands/describe-schedules.ts'
import type { Project } from './open-project.ts'
import { repeatWork } from './repeat-work.ts'
import type { WorkPlace } from './repeat-work.ts'
import type { LogLines } from './terminal/log-lines.ts'

const LOOK_EVERY_MS = 1000

/** Imports tables by their schedules, beside other work, until aborted. */
export async function importUntil(project: Project, place: WorkPlace, log: LogLines): Promise<void> {
  const { directory, objects, now } = project
  const onRun = (table: string, run: ScheduledRun): void => {
    const [result] = describeAccepted(run)
    log(
      'info',
      'archive',
      `scheduled import of ${table}: ${run.files.length} new ${run.files.length === 1 ? 'file' : 'files'}, ${result}`,
      { ...run, table },
    )
    for (const { file, code, message } of run.problems)
      log('warn', 'archive', `${code}: ${message}`, { table, file, code })
  }
  const onEvent = (table: string, event: ScheduleEvent): void =>
    log('warn', 'archive', `scheduled import of ${table}: ${describeScheduleEvent(event)}`, { ...event, table })
  const temporaryPath = (suffix: string): Promise<string> => objects.temporaryPath(suffix)
  const files = openTableFiles({ folder: directory, wallClock: Date.now, temporaryPath })
  try {
    const imports = new ScheduledImports(project, { files, now, onRun, onEvent })
    await repeatWork(place, SCHEDULED_IMPORTS, LOOK_EVERY_MS, () => imports.runOnce(place.signal))
  } finally {
    await files.close()
  }
}
