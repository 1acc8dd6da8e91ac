import type { Command } from 'commander'
import { print, withProject } from './with-project.ts'

export function registerCatalog(program: Command): void {
  program
    .command('catalog')
    .description('what is registered: owners, tags, lineage')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const entries = await project.registry.catalog()
        const lines = entries.map(
          ({ kind, name, version, owner, reads }) =>
            `${kind.padEnd(8)} ${name.padEnd(24)} ${version.slice(0, 12)}  ${owner ?? '-'}  ${reads.join(' ')}`,
        )
        print(json, entries, lines)
      })
    })
}
