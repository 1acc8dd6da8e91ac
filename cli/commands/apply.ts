import type { Command } from 'commander'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { createTopics } from '../../streams/stream-context.ts'
import { gitState } from '../open-project.ts'
import { doing } from '../settle.ts'
import { viewProgress } from '../../streams/apply/live-views.ts'
import { countHistory } from './count-history.ts'
import { describeBuilding } from './describe-building.ts'
import { describePlan } from './describe-plan.ts'
import { print, withProject } from './with-project.ts'

export function registerApply(program: Command): void {
  program
    .command('apply')
    .description('register the definitions of the project')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const { directory, registry } = project
        const report = await registry.apply(directory, project.now(), gitState(directory), (view) =>
          countHistory(project, view),
        )
        await createTopics(project)
        await doing(project, 'stream', async () => new ApplyRole(project).begin())
        const building = (await viewProgress(project)).filter(({ live }) => !live)
        print(json, { ...report, building }, [...describePlan(report, 'did'), ...describeBuilding(building)])
      })
    })
}
