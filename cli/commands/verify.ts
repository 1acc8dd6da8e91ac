import type { Command } from 'commander'
import { verifyServed } from '../../offline/verify.ts'
import { settle } from '../settle.ts'
import { print, withProject } from './with-project.ts'

export function registerVerify(program: Command): void {
  program
    .command('verify')
    .description('served vectors against the archive, byte for byte')
    .option('--sample <n>', 'newest n vectors only')
    .action(async (options: { sample?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        await settle(project)
        const report = await verifyServed(project, {
          sample: options.sample === undefined ? undefined : Number(options.sample),
        })
        const lines = report.mismatches
          .slice(0, 20)
          .map(({ requestId, feature, cause }) => `MISMATCH ${feature} (request ${requestId}): ${cause}`)
        print(json, report, [
          ...lines,
          `${report.rows} vectors, ${report.values} values compared, ${report.mismatches.length} mismatches, ${report.pending} vectors not archived yet.`,
        ])
        if (report.mismatches.length > 0) process.exitCode = 1
      })
    })
}
