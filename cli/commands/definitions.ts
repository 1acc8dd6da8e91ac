import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import type { PlanReport } from '../../registry/registry.ts'
import { createTopics } from '../../streams/stream-context.ts'
import { failCli } from '../errors.ts'
import { gitState } from '../open-project.ts'
import { print, withProject } from './with-project.ts'

const TEMPLATE = `import { count, entity, featureService, featureView, last, max, mean, stream, sum, t } from 'tidemark'

export const card = entity('card', { card_id: t.string() })

export const payments = stream('payments', {
  schema: { payment_id: t.string(), card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})

export const cardSpend = featureView('card_spend', {
  entity: card,
  from: payments,
  where: (e) => e.amount > 0,
  features: {
    payments_1h: count().over('1h'),
    spend_24h: sum('amount').over('24h'),
    spend_mean_7d: mean('amount').over('7d'),
    biggest_30d: max('amount').over('30d').default(0),
    last_merchant: last('merchant').over('lifetime'),
  },
  ttl: '30d',
  owner: 'risk@example.com',
  description: 'What a card did lately.',
})

export const fraud = featureService('fraud', {
  features: [cardSpend.all()],
  request: { amount: t.float64() },
  derive: { amount_vs_mean: (f) => f.amount / (f.card_spend__spend_mean_7d ?? f.amount) },
})
`

export function registerDefinitionCommands(program: Command): void {
  program
    .command('init <dir>')
    .description('make a project that runs')
    .action((dir: string) => {
      const file = join(dir, 'features', 'card.ts')
      if (existsSync(file)) throw failCli('TM_USAGE', `${file} exists: choose an empty folder`)
      mkdirSync(join(dir, 'features'), { recursive: true })
      writeFileSync(file, TEMPLATE)
      writeFileSync(join(dir, '.gitignore'), '.tidemark/\nnode_modules/\n')
      if (!existsSync(join(dir, 'package.json')))
        writeFileSync(join(dir, 'package.json'), '{ "private": true, "type": "module" }\n')
      process.stdout.write(
        `Made ${file}. Next: tidemark apply --project ${dir}, then tidemark start --project ${dir}\n`,
      )
    })
  program
    .command('plan')
    .description('what apply would change, and who depends on it')
    .option('--check', 'exit 3 if a service would change')
    .action(async (options: { check?: boolean }, command: Command) => {
      await withProject(command, async (project, json) => {
        const report = await project.registry.plan(project.directory)
        print(json, report, describe(report, 'would'))
        if (options.check === true && report.changes.some(({ kind, from }) => kind === 'service' && from !== null))
          process.exitCode = 3
      })
    })
  program
    .command('apply')
    .description('register the definitions of the project')
    .action(async (_options: unknown, command: Command) => {
      await withProject(command, async (project, json) => {
        const report = await project.registry.apply(project.directory, project.now(), gitState(project.directory))
        await createTopics(project)
        print(json, report, describe(report, 'did'))
      })
    })
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

function describe({ changes }: PlanReport, verb: 'would' | 'did'): string[] {
  if (changes.length === 0) return ['Nothing changes: the definitions are as registered.']
  return changes.map(({ kind, name, from, to, backfill, dependants }) => {
    const what = from === null ? 'add' : to === null ? 'remove' : 'change'
    const done = verb === 'did' ? { add: 'added', remove: 'removed', change: 'changed' }[what] : what
    const uses = dependants.length === 0 || kind === 'service' ? '' : `  (used by ${dependants.join(', ')})`
    return `${done.padEnd(8)} ${kind.padEnd(8)} ${name}  ${(to ?? from ?? '').slice(0, 12)}${backfill ? '  values are replayed from history' : ''}${uses}`
  })
}
