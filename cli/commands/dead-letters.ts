import type { Command } from 'commander'
import { listDeadLetters } from '../../streams/dead-letters.ts'
import { print, withProject } from './with-project.ts'

export function registerDeadLetters(program: Command): void {
  const deadLetters = program.command('dead-letters').description('events that were refused')
  deadLetters
    .command('list')
    .option('--source <name>', 'one source only')
    .action(async (options: { source?: string }, command: Command) => {
      await withProject(command, async (project, json) => {
        const names = (await project.registry.sources())
          .map(({ name }) => name)
          .filter((name) => options.source === undefined || name === options.source)
        const letters = []
        for (const source of names)
          for (const letter of await listDeadLetters(project.log, source)) letters.push({ source, ...letter })
        print(
          json,
          letters,
          letters.map(({ source, code, reason, payload }) => `${source}  ${code}  ${reason}  ${payload.slice(0, 120)}`),
        )
      })
    })
}
