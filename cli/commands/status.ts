import type { Command } from 'commander'
import { listDeadLetters } from '../../streams/dead-letters.ts'
import { deadTopic } from '../../streams/stream-context.ts'
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
        const dead: Record<string, number> = {}
        for (const { name } of await project.registry.sources())
          dead[name] =
            (await project.log.topic(deadTopic(name))) === null ? 0 : (await listDeadLetters(project.log, name)).length
        const status = {
          running: await isRunning(project.dataFolder),
          caughtUp: await isCaughtUp(project),
          ingestLagRecords: await ingestLag(project),
          partitions,
          deadLetters: dead,
        }
        print(json, status, [
          `running: ${status.running}   caught up: ${status.caughtUp}   records not ingested: ${status.ingestLagRecords}`,
          ...partitions.map(
            ({ keyedLog, partition, endOffset, appliedOffset, archivedOffset }) =>
              `${`${keyedLog}/${partition}`.padEnd(36)} end ${endOffset}  applied ${appliedOffset}  archived ${archivedOffset}`,
          ),
          ...Object.entries(dead).map(([source, count]) => `dead letters of ${source}: ${count}`),
        ])
      })
    })
}
