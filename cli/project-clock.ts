import { join, resolve } from 'node:path'
import { projectSettings } from './project-settings.ts'
import { openClock } from './simulated-clock.ts'

/** The clock of a project: the wall clock, or the simulated one that its configuration asks for. Epoch ms. */
export async function projectClock(directory: string): Promise<() => number> {
  const root = resolve(directory)
  return openClock(join(root, '.tidemark'), (await projectSettings(root, process.env)).clock)
}
