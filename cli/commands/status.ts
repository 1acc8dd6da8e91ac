import type { Command } from 'commander'
import { countDeadLetters } from '../../streams/dead-letter-counts.ts'
import type { DeadLetterCounts } from '../../streams/dead-letter-counts.ts'
import { ingestLag, isCaughtUp, partitionStatus } from '../../streams/wait.ts'
import { isRunning } from '../start-socket.ts'
import { print, withProject } from './with-project.ts'

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('positions, lag and dead letters')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const partitions = await partitionStatus(project)
        const letters: Record<string, DeadLetterCounts> = {}
        for (const { name } of await project.registry.sources()) letters[name] = await countDeadLetters(project, name)
        const byName = Object.entries(letters)
        const status = {
          running: await isRunning(project.dataFolder),
          caughtUp: await isCaughtUp(project),
          ingestLagRecords: await ingestLag(project),
          partitions,
          deadLetters: Object.fromEntries(byName.map(([source, { pending }]) => [source, pending])),
          deadLetterCodes: Object.fromEntries(byName.map(([source, { byCode }]) => [source, byCode])),
        }
        print(json, status, [
          `running: ${status.running}   caught up: ${status.caughtUp}   records not ingested: ${status.ingestLagRecords}`,
          ...partitions.map(
            ({ keyedLog, partition, endOffset, appliedOffset, archivedOffset }) =>
              `${`${keyedLog}/${partition}`.padEnd(36)} end ${endOffset}  applied ${appliedOffset}  archived ${archivedOffset}`,
          ),
          ...byName.map(([source, counts]) => describeLetters(source, counts)),
        ])
      })
    })
}

function describeLetters(source: string, { pending, replayed, dropped, byCode }: DeadLetterCounts): string {
  const codes = Object.entries(byCode).map(([code, count]) => `${code} ${count}`)
  const past = [...(replayed > 0 ? [`${replayed} replayed`] : []), ...(dropped > 0 ? [`${dropped} dropped`] : [])]
  return `dead letters of ${source}: ${[pending, ...codes, ...past].join('  ')}`
}
