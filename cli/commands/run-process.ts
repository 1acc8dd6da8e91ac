import type { Command } from 'commander'
import { openProject } from '../open-project.ts'
import { runRoles } from '../run-roles.ts'
import type { RoleName } from '../run-roles.ts'
import { serve } from '../serve.ts'
import { holdStartSocket } from '../start-socket.ts'
import { stopSignal } from '../stop-signal.ts'
import type { GlobalOptions } from './with-project.ts'

/** Runs roles in this process until it is told to stop. */
export async function runProcess(command: Command, roles: readonly RoleName[], http: string | boolean): Promise<void> {
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
