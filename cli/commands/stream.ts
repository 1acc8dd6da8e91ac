import type { Command } from 'commander'
import { registerRole } from './register-role.ts'

export function registerStream(program: Command): void {
  registerRole(program, 'stream', 'run the stream role alone: ingest and apply')
}
