import type { Command } from 'commander'
import { openProject } from '../open-project.ts'
import { runRoles } from '../run-roles.ts'
import type { RoleName } from '../run-roles.ts'
import { serve } from '../serve.ts'
import { holdStartSocket } from '../start-socket.ts'
import type { GlobalOptions } from './with-project.ts'

/** Aborted by Ctrl-C or SIGTERM; a second one ends the process at once. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(1)
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}

export function registerRoleCommands(program: Command): void {
  program
    .command('start')
    .description('every role in one process: streams, archive and HTTP')
    .option('--port <port>', 'HTTP port on 127.0.0.1')
    .action(async (options: { port?: string }, command: Command) =>
      runProcess(command, ['stream', 'archive'], options.port ?? true),
    )
  program
    .command('stream')
    .description('the stream role alone: ingest and apply')
    .action(async (_options: unknown, command: Command) => runProcess(command, ['stream'], false))
  program
    .command('archive')
    .description('the archive role alone')
    .action(async (_options: unknown, command: Command) => runProcess(command, ['archive'], false))
  program
    .command('serve')
    .description('the HTTP role alone')
    .option('--port <port>', 'HTTP port on 127.0.0.1')
    .action(async (options: { port?: string }, command: Command) => runProcess(command, [], options.port ?? true))
}

async function runProcess(command: Command, roles: readonly RoleName[], http: string | boolean): Promise<void> {
  const project = await openProject(command.optsWithGlobals<GlobalOptions>().project)
  const signal = stopSignal()
  try {
    const socket = roles.includes('stream') ? await holdStartSocket(project.dataFolder) : null
    const server = http === false ? null : await serve(project, http === true ? project.port : Number(http))
    process.stdout.write(
      `tidemark ${[...roles, ...(server === null ? [] : ['serve'])].join(' + ')}${server === null ? '' : ` on ${server.url}`}\n`,
    )
    if (roles.length > 0) await runRoles(project, roles, signal)
    else await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await server?.stop()
    socket?.close()
  } finally {
    await project.close()
  }
}
