import type { Command } from 'commander'
import { describeStatus } from './describe-status.ts'
import { readStatus } from './read-status.ts'
import { print, withProject } from './with-project.ts'

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('show what runs, what lags, how fresh it is, what was refused')
    .option('--verbose', 'one line for each partition too')
    .action(async ({ verbose = false }: { verbose?: boolean }, command: Command) => {
      await withProject(command, async (project, json) => {
        const status = await readStatus(project)
        print(json, status, describeStatus(status, verbose))
      })
    })
}
