import type { Command } from 'commander'
import { runProcess } from './run-process.ts'

export function registerStream(program: Command): void {
  program
    .command('stream')
    .description('the stream role alone: ingest and apply')
    .action(async (_options: unknown, command: Command) => runProcess(command, ['stream'], false))
}
