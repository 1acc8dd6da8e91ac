import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { failCli } from '../errors.ts'

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

export function registerInit(program: Command): void {
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
}
