import type { Command } from 'commander'
import { projectFolder } from '../project-folder.ts'
import { supervise } from '../roles/supervisor.ts'
import { stopSignal } from '../stop-signal.ts'
import { createLogLines } from '../terminal/log-lines.ts'
import { parsePort } from './parse-port.ts'
import type { GlobalOptions } from './with-project.ts'

export function registerStart(program: Command): void {
  program
    .command('start')
    .description('run every role in one process tree: streams, archive and HTTP')
    .option('--port <port>', "HTTP port on 127.0.0.1 (default: the project's, else 7070)", parsePort)
    .action(async ({ port }: { port?: number }, command: Command) => {
      const { project, json = false } = command.optsWithGlobals<GlobalOptions>()
      const log = createLogLines(json)
      await supervise({
        directory: projectFolder(project),
        port: port ?? null,
        log,
        signal: stopSignal(),
        ready: (url) => log('info', 'start', `serving features on ${url} (Ctrl-C stops)`, { url }),
      })
    })
}
