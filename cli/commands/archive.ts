import type { Command } from 'commander'
import { runProcess } from './run-process.ts'

export function registerArchive(program: Command): void {
  program
    .command('archive')
    .description('the archive role alone')
    .action(async (_options: unknown, command: Command) => runProcess(command, ['archive'], false))
}
