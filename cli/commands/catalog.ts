import type { Command } from 'commander'
import { viewProgress } from '../../streams/apply/live-views.ts'
import { describeBuilding } from './describe-building.ts'
import { print, withProject } from './with-project.ts'

export function registerCatalog(program: Command): void {
  program
    .command('catalog')
    .description('list what is registered: owners, tags, lineage')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const progress = new Map((await viewProgress(project)).map((at) => [at.version, at]))
        const entries = (await project.registry.catalog()).map((entry) => {
          const at = progress.get(entry.version)
          return entry.kind === 'view' ? { ...entry, building: at === undefined || at.live ? null : at } : entry
        })
        const lines = entries.flatMap(({ kind, name, version, owner, tags, reads, fields }) => {
          const labels = Object.entries(tags).map(([tag, text]) => `${tag}=${text}`)
          return [
            `${kind.padEnd(8)} ${name.padEnd(24)} ${version.slice(0, 12)}  ${[owner ?? '-', ...labels, ...reads].join('  ')}`,
            ...fields.map(
              ({ name: field, type, from }) =>
                `           ${field}: ${type}${from.length === 0 || from[0] === field ? '' : ` ← ${from.join(', ')}`}`,
            ),
          ]
        })
        print(json, entries, [...lines, ...describeBuilding([...progress.values()])])
      })
    })
}
