/** Two views of one entity, in windows and without, and a service of both. */
export const CARD_SPEND = `import { count, entity, featureService, featureView, last, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cardSpend = featureView('card_spend', {
  entity: card, from: payments,
  features: { n: count().over('lifetime'), spend_1h: sum('amount').over('1h'), spend_24h: sum('amount').over('24h') },
})
export const cardLast = featureView('card_last', {
  entity: card, from: payments, where: (e) => e.amount > 0, features: { last_amount: last('amount').over('7d') },
})
export const fraud = featureService('fraud', { features: [cardSpend.all(), cardLast.all()] })
`
