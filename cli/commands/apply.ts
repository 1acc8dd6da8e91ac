import type { Command } from 'commander'
import { ApplyRole } from '../../streams/apply-role.ts'
import { refuseChangedSource } from '../../streams/refuse-changed-source.ts'
import { createTopics } from '../../streams/stream-context.ts'
import { gitState } from '../open-project.ts'
import { doing } from '../settle.ts'
import { describePlan } from './describe-plan.ts'
import { print, withProject } from './with-project.ts'

export function registerApply(program: Command): void {
  program
    .command('apply')
    .description('register the definitions of the project')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        await refuseChangedSource(project, project.directory)
        const report = await project.registry.apply(project.directory, project.now(), gitState(project.directory))
        await createTopics(project)
        await doing(project, 'stream', async () => new ApplyRole(project).begin())
        print(json, report, describePlan(report, 'did'))
      })
    })
}
