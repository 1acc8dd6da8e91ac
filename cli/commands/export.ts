import type { Command } from 'commander'
import { exportTrainingSet } from '../../offline/export.ts'
import type { AsOf } from '../../offline/export.ts'
import { failCli } from '../errors.ts'
import { settle } from '../settle.ts'
import { print, withProject } from './with-project.ts'

export function registerExport(program: Command): void {
  program
    .command('export <service>')
    .description('point-in-time training set for a spine')
    .requiredOption('--spine <file>', 'entity keys, timestamp, request fields, labels (.parquet, .csv)')
    .requiredOption('--out <file>', 'output (.parquet, .csv); a manifest is written beside it')
    .option('--timestamp <column>', 'time column of the spine', 'timestamp')
    .option('--as-of <clock>', 'arrival or event-time', 'arrival')
    .action(
      async (
        service: string,
        options: { spine: string; out: string; timestamp: string; asOf: string },
        command: Command,
      ) => {
        if (!['arrival', 'event-time', 'served'].includes(options.asOf))
          throw failCli('TM_USAGE', `--as-of ${options.asOf}: expected arrival, event-time or served`)
        await withProject(command, async (project, json) => {
          await settle(project)
          const manifest = await exportTrainingSet(project, { ...options, service, asOf: options.asOf as AsOf })
          print(json, manifest, [
            `Wrote ${manifest.rows} rows to ${options.out} (SHA-256 ${manifest.outputSha256.slice(0, 12)}…), manifest beside it.`,
          ])
        })
      },
    )
}
