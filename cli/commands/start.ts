import type { Command } from 'commander'
import { runProcess } from './run-process.ts'

export function registerStart(program: Command): void {
  program
    .command('start')
    .description('every role in one process: streams, archive and HTTP')
    .option('--port <port>', 'HTTP port on 127.0.0.1')
    .action(async (options: { port?: string }, command: Command) =>
      runProcess(command, ['stream', 'archive'], options.port ?? true),
    )
}
