import type { Command } from 'commander'
import { importFiles } from '../../streams/imports/import-files.ts'
import type { Tables } from '../../stores/tables/tables.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import { untilFed } from '../until-fed.ts'
import { settle } from '../settle.ts'
import { columnValue } from '../../features/values/column.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { describeAccepted } from './describe-accepted.ts'
import { checkStopped, print, withWork } from './with-project.ts'

const EXAMPLES = `
History is what happened before now. Each row counts from its arrival: the time from which it could be known.

Examples:
  tidemark import payments history.parquet --arrival received_at
  tidemark import payments 2024.csv 2025.csv --arrival event-time
`

export function registerImport(program: Command): void {
  program
    .command('import <source> <files...>')
    .description(
      'take in history from Parquet, Arrow, CSV or JSONL files; a file that was imported before changes nothing',
    )
    .option(
      '--arrival <column>',
      "timestamp column, or 'event-time' (default: the source's arrival, else its event time)",
    )
    .addHelpText('after', EXAMPLES)
    .action(async (source: string, files: string[], options: { arrival?: string }, command: Command) => {
      await withWork(command, async ({ project, json, signal, progress }) => {
        await untilFed(project, source, signal)
        const rows = await countRows(project.tables, files)
        const reading = progress('import', 'rows')
        const onProgress = (done: number): void => reading.update(done, rows)
        // Its events go into several logs: history must not change in between.
        const step = await project.gates.enterWork(signal)
        const result = await importFiles(project, source, files, {
          arrival: options.arrival ?? null,
          onProgress,
          signal,
        }).finally(() => step?.release())
        checkStopped(signal, () => {
          const taken = describeCount(result.accepted)
          return `${taken} rows are in the log and stay there. The same command goes on from there; no row is taken in twice.`
        })
        const applying = progress('apply and archive', 'events')
        await settle(project, { signal, onProgress: (moved) => applying.update(moved) })
        checkStopped(
          signal,
          () => 'all rows are in the log; the next command, or `tidemark start`, applies and archives the rest.',
        )
        reading.end()
        print(json, result, describeAccepted(result))
        if (result.accepted === 0 && result.refused > 0) process.exitCode = 1
      })
    })
}

/** Rows of the files, where that is quick to know (Parquet says it in its footer); null elsewhere. */
async function countRows(tables: Tables, files: readonly string[]): Promise<number | null> {
  if (!files.every((file) => file.endsWith('.parquet')) || !process.stderr.isTTY) return null
  const field = { name: 'rows', type: { kind: 'float64' }, nullable: true, nonFinite: 'reject' } as const
  const names = files.map((file) => sqlText(file)).join(', ')
  try {
    const sql = `SELECT sum(num_rows)::DOUBLE FROM parquet_file_metadata([${names}])`
    const { columns } = await tables.queryAll(sql, [field])
    return Number(columnValue(columns[0], 0))
  } catch {
    // The import itself says what is wrong with the file.
    return null
  }
}
