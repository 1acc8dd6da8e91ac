import type { Command } from 'commander'
import { projectFolder } from '../project-folder.ts'
import { supervise } from '../roles/supervisor.ts'
import { stopSignal } from '../stop-signal.ts'
import { createLogLines } from '../terminal/log-lines.ts'
import { addListenOptions } from './listen-options.ts'
import type { ListenValues } from './listen-options.ts'
import type { GlobalOptions } from './with-project.ts'

export function registerStart(program: Command): void {
  addListenOptions(program.command('start'))
    .description('run every role in one process tree: streams, archive and HTTP')
    .action(async ({ port, ...flags }: ListenValues, command: Command) => {
      const { project, json = false } = command.optsWithGlobals<GlobalOptions>()
      const log = createLogLines(json)
      await supervise({
        directory: projectFolder(project),
        ...flags,
        port: port ?? null,
        log,
        signal: stopSignal(),
        ready: (url) => log('info', 'start', `serving features on ${url} (Ctrl-C stops)`, { url }),
      })
    })
}
