import type { Command } from 'commander'
import { registerRole } from './register-role.ts'

export function registerArchive(program: Command): void {
  registerRole(program, 'archive', 'run the archive role alone')
}
