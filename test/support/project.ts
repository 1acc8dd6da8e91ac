import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

/** A project folder with the given files, removed after the test. */
export function temporaryProject(context: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-test-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries({ 'package.json': '{"type":"module"}', ...files })) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

/** Definitions over payments, as in the README. */
export const PAYMENTS = `import { count, entity, featureService, featureView, last, max, mean, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cardSpend = featureView('card_spend', {
  entity: card, from: payments, where: (e) => e.amount > 0,
  features: {
    payments_1h: count().over('1h'),
    spend_24h: sum('amount').over('24h'),
    spend_mean_7d: mean((e) => Math.min(e.amount, 1000)).over('7d', { hop: '1h' }),
    biggest_30d: max('amount').over('30d').default(0),
    last_merchant: last('merchant').over('lifetime'),
  },
  ttl: '30d',
})
export const fraud = featureService('fraud', {
  features: [cardSpend.all()],
  request: { amount: t.float64() },
  derive: { amount_vs_mean: (f) => f.amount / (f.card_spend__spend_mean_7d ?? f.amount) },
})
`
