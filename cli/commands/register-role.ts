import type { Command } from 'commander'
import { projectFolder } from '../project-folder.ts'
import type { RoleName } from '../roles/role-messages.ts'
import { runRole } from '../roles/run-role.ts'
import { createLogLines } from '../terminal/log-lines.ts'
import type { ListenValues } from './listen-options.ts'
import type { GlobalOptions } from './with-project.ts'

/** A command that runs one role in this process, beside a `start` or apart from it. */
export function registerRole(program: Command, role: RoleName, description: string): Command {
  return program
    .command(role)
    .description(description)
    .action(async ({ port, ...flags }: ListenValues, command: Command) => {
      const { project, json = false } = command.optsWithGlobals<GlobalOptions>()
      await runRole(role, {
        ...flags,
        directory: projectFolder(project),
        port: port ?? null,
        log: createLogLines(json),
      })
    })
}
