import { ParkedViews } from '../streams/apply/parked-views.ts'
import { PARKED_VIEWS } from '../streams/workers/ownership.ts'
import type { Project } from './open-project.ts'
import { repeatWork } from './repeat-work.ts'
import type { WorkPlace } from './repeat-work.ts'
import type { LogLines } from './terminal/log-lines.ts'

const LOOK_EVERY_MS = 10_000

/** Drops the states of view versions out of reach when their grace period is over, beside other work, until aborted. */
export async function dropParkedUntil(project: Project, place: WorkPlace, log: LogLines): Promise<void> {
  const parked = new ParkedViews(project, project.stateGraceMs)
  await repeatWork(place, PARKED_VIEWS, LOOK_EVERY_MS, async () => {
    for (const { view, version } of await parked.runOnce())
      log(
        'info',
        'stream',
        `dropped the states of view ${view}, version ${version.slice(0, 12)}: nothing reads it any more`,
        {
          view,
          version,
        },
      )
  })
}
