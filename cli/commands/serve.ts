import type { Command } from 'commander'
import { runProcess } from './run-process.ts'

export function registerServe(program: Command): void {
  program
    .command('serve')
    .description('the HTTP role alone')
    .option('--port <port>', 'HTTP port on 127.0.0.1')
    .action(async (options: { port?: string }, command: Command) => runProcess(command, [], options.port ?? true))
}
