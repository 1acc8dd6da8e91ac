import type { Command } from 'commander'
import { countHistory } from './count-history.ts'
import { viewProgress } from '../../streams/apply/live-views.ts'
import { describeBuilding } from './describe-building.ts'
import { describePlan } from './describe-plan.ts'
import { print, withProject } from './with-project.ts'

export function registerPlan(program: Command): void {
  program
    .command('plan')
    .description('show what apply would change, and who depends on it')
    .option('--check', 'exit 3 if a service would change')
    .action(async (options: { check?: boolean }, command: Command) => {
      await withProject(command, async (project, json) => {
        const report = await project.registry.plan(project.directory, (view) => countHistory(project, view))
        const building = (await viewProgress(project)).filter(({ live }) => !live)
        print(json, { ...report, building }, [...describePlan(report, 'would'), ...describeBuilding(building)])
        if (options.check === true && report.changes.some(({ kind, from }) => kind === 'service' && from !== null))
          process.exitCode = 3
      })
    })
}
