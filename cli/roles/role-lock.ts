import { join } from 'node:path'
import type { WorkRole } from '../run-roles.ts'

/** Held by the process that streams, or archives, a data folder: a role, or a command that does the work itself. */
export function roleLockPath(dataFolder: string, role: WorkRole): string {
  return join(dataFolder, 'run', `${role}.lock`)
}
