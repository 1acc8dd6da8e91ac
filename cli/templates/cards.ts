import type { Template } from './template.ts'

const DEFINITIONS = `import { count, entity, featureService, featureView, last, max, mean, stream, sum, t } from 'tidemark'

/** What features are about: here, a payment card. */
export const card = entity('card', { card_id: t.string() })

/** Where events come from. Each has these fields; \`paid_at\` says when it happened. */
export const payments = stream('payments', {
  schema: {
    payment_id: t.string(),
    card_id: t.string(),
    merchant: t.string().nullable(),
    amount: t.float64(),
    paid_at: t.timestamp(),
  },
  eventTime: 'paid_at',
})

/** Features of a card over its payments, each over a window of time. */
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
  freshness: '5m',
  owner: 'risk@example.com',
  description: 'What a card did lately.',
})

/** What a model asks for: the features, what the request itself brings, and what follows from both. */
export const fraud = featureService('fraud', {
  features: [cardSpend.all()],
  request: { amount: t.float64() },
  derive: { amount_vs_mean: (f) => f.amount / (f.card_spend__spend_mean_7d ?? f.amount) },
})
`

/** Payments of the last two days up to now: a card that spends as ever, and one that does not. */
function events(now: number): string {
  const minutesAgo = [2600, 1700, 1300, 900, 620, 300, 45, 20, 9, 2]
  const lines = minutesAgo.flatMap((minutes, i) => {
    const paidAt = new Date(now - minutes * 60_000).toISOString()
    const usual = {
      payment_id: `p-${2 * i}`,
      card_id: 'c-1',
      merchant: i % 2 === 0 ? 'grocer' : 'cafe',
      amount: 12.5 + i,
      paid_at: paidAt,
    }
    const odd = {
      payment_id: `p-${2 * i + 1}`,
      card_id: 'c-2',
      merchant: minutes < 60 ? null : 'grocer',
      amount: minutes < 60 ? 900 + i : 20,
      paid_at: paidAt,
    }
    return [JSON.stringify(usual), JSON.stringify(odd)]
  })
  return `${lines.join('\n')}\n`
}

/** Payment cards, for a fraud model. */
export const cards: Template = {
  files: (now) => ({
    'features/card.ts': DEFINITIONS,
    'events.jsonl': events(now),
    'spine.csv': `card_id,timestamp,amount,label\nc-1,${new Date(now - 30 * 60_000).toISOString()},14,0\nc-2,${new Date(now - 5 * 60_000).toISOString()},950,1\n`,
  }),
  source: 'payments',
  service: 'fraud',
  example: 'card_id=c-1 amount=12',
}
