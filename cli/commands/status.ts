import type { Command } from 'commander'
import { isEngineAway } from '../engine-waits.ts'
import { dataFolderOf } from '../open-project.ts'
import { livePresences } from '../presence.ts'
import { projectFolder } from '../project-folder.ts'
import { describeRoles, describeStatus } from './describe-status.ts'
import { readStatus } from './read-status.ts'
import { print, withProject } from './with-project.ts'
import type { GlobalOptions } from './with-project.ts'

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('show what runs, what lags, how fresh it is, what was refused')
    .option('--verbose', 'one line for each partition too')
    .action(async ({ verbose = false }: { verbose?: boolean }, command: Command) => {
      try {
        await withProject(command, async (project, json) => {
          const status = await readStatus(project)
          print(json, status, describeStatus(status, verbose))
        })
      } catch (error) {
        if (isEngineAway(error)) await printProcesses(command)
        throw error
      }
    })
}

/** What runs, and what it waits for, is known without any engine. */
async function printProcesses(command: Command): Promise<void> {
  const { project, json = false } = command.optsWithGlobals<GlobalOptions>()
  const processes = await livePresences(dataFolderOf(projectFolder(project)))
  if (processes.length > 0) print(json, { processes }, describeRoles(processes))
}
