import type { Command } from 'commander'
import { importFiles } from '../../streams/import-files.ts'
import { settle } from '../settle.ts'
import { describeAccepted } from './describe-accepted.ts'
import { print, withProject } from './with-project.ts'

export function registerImport(program: Command): void {
  program
    .command('import <source> <files...>')
    .description('history from Parquet, CSV or JSONL')
    .option('--arrival <column>', "timestamp column, or 'event-time'")
    .action(async (source: string, files: string[], options: { arrival?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        const tty = process.stderr.isTTY && !json
        const onProgress = tty ? (rows: number) => process.stderr.write(`\r${rows} rows read`) : undefined
        const result = await importFiles(project, source, files, { arrival: options.arrival ?? null, onProgress })
        if (tty) process.stderr.write('\n')
        await settle(project)
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
}
