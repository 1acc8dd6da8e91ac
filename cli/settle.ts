import type { Project } from './open-project.ts'
import { drain } from './run-roles.ts'
import { isRunning } from './start-socket.ts'

/** Beside a running `start` its workers do the rest; without one this process applies and archives before it returns. */
export async function settle(project: Project): Promise<void> {
  if (!(await isRunning(project.dataFolder))) await drain(project)
}
