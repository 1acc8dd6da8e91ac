import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { exportTrainingSet } from '../../offline/export.ts'
import type { AsOf, Manifest, PinnedPositions } from '../../offline/export.ts'
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
    .option('--positions <manifest>', 'see only what an earlier export saw')
    .action(
      async (
        service: string,
        options: { spine: string; out: string; timestamp: string; asOf: string; positions?: string },
        command: Command,
      ) => {
        if (!['arrival', 'event-time', 'served'].includes(options.asOf))
          throw failCli('TM_USAGE', `--as-of ${options.asOf}: expected arrival, event-time or served`)
        await withProject(command, async (project, json) => {
          await settle(project)
          const pinned = options.positions === undefined ? undefined : readPositions(options.positions)
          const asOf = options.asOf as AsOf
          const manifest = await exportTrainingSet(project, { ...options, service, asOf, pinned })
          print(json, manifest, [
            `Wrote ${manifest.rows} rows to ${options.out} (SHA-256 ${manifest.outputSha256.slice(0, 12)}…), manifest beside it.`,
          ])
        })
      },
    )
}

function readPositions(path: string): PinnedPositions {
  try {
    const { positions, incarnations, completeUntil } = JSON.parse(readFileSync(path, 'utf8')) as Manifest
    if (typeof positions === 'object' && typeof incarnations === 'object' && typeof completeUntil === 'number')
      return { positions, incarnations, completeUntil }
  } catch {
    // Said below.
  }
  throw failCli('TM_USAGE', `--positions ${path} is not the manifest of an export: give its FILE.manifest.json`)
}
