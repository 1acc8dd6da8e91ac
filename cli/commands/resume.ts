import type { Command } from 'commander'
import { resumeSource } from '../../streams/ingest/resume-source.ts'
import type { Resumed } from '../../streams/ingest/resume-source.ts'
import { settle } from '../settle.ts'
import { describeCount } from '../terminal/describe-amounts.ts'
import { changeHistory, print, withWork } from './with-project.ts'

const EXAMPLES = `
A source stops where its topic was deleted and made anew (TM_SOURCE_RECREATED), or begins beyond what was read of it (TM_SOURCE_TRUNCATED): going on means to go on without
what is gone. Events that were taken in stay. It works beside a running \`tidemark start\`, and alone.

Examples:
  tidemark resume payments
  tidemark resume payments --json
`

export function registerResume(program: Command): void {
  program
    .command('resume <source>')
    .description('go on with a source whose topic was made anew, or has lost records that were never read')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, _options: unknown, command: Command) => {
      await withWork(command, async (work) => {
        const source = await work.project.registry.source(name)
        const resumed = await changeHistory(work, () => resumeSource(work.project, source.name))
        const applying = work.progress('apply', 'events')
        if (resumed.length > 0)
          await settle(work.project, { signal: work.signal, onProgress: (moved) => applying.update(moved) })
        print(work.json, { source: name, resumed }, describe(name, resumed))
      })
    })
}

function describe(name: string, resumed: readonly Resumed[]): string[] {
  if (resumed.length === 0) return [`Nothing to resume: ${name} goes on where it was read to.`]
  return resumed.map(
    ({ source, partition, code, nextOffset, lostRecords }) =>
      `${source}, partition ${partition} goes on at offset ${nextOffset} (${code}): ${
        lostRecords === null
          ? 'what was not read of the topic before is gone'
          : `${describeCount(lostRecords)} records that were never read are gone`
      }.`,
  )
}
