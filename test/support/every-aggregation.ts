/** Every aggregation of the authoring API over every type of column, as a project writes them. */
export const EVERY_AGGREGATION = `import * as tm from 'tidemark'
import { t } from 'tidemark'

export const card = tm.entity('card', { card_id: t.string() })
export const payments = tm.stream('payments', {
  schema: {
    card_id: t.string(), merchant: t.string().nullable(), amount: t.float64().nullable(), items: t.int32(), cents: t.int64().nullable(),
    fraud: t.bool().nullable(), embedding: t.vector(3).nullable(), raw: t.bytes(), channel: t.enum('web', 'shop'), paid_at: t.timestamp(),
  },
  eventTime: 'paid_at',
})
export const spend = tm.featureView('spend', {
  entity: card,
  from: payments,
  where: (e) => e.items !== 13,
  features: (on) => ({
    payments: on.count().over('1h'),
    big: on.countWhere((e) => e.amount === null ? null : e.amount > 1).over('1h'),
    frauds: on.countWhere('fraud').over('24h'),
    total: on.sum('amount').over('1h'),
    capped: on.sum((e) => e.amount === null ? null : Math.min(e.amount, 1)).over('24h'),
    cents: on.sum('cents').over('1h').default(0n),
    doubled: on.sum((e) => e.cents === null ? null : e.cents * 2n, { type: t.int64() }).over('1h'),
    mean: on.mean('amount').over('24h'),
    least: on.min('amount').over('1h'),
    least_cents: on.min('cents').over('1h'),
    greatest_cents: on.max('cents').over('24h'),
    newest_time: on.max('paid_at').over('lifetime'),
    variance: on.variance('items').over('1h'),
    stddev: on.stddev('items', { sample: true }).over('24h'),
    skewness: on.skewness('items').over('24h'),
    kurtosis: on.kurtosis('items').over('24h'),
    first: on.first('merchant').over('1h'),
    last_channel: on.last('channel').over('24h').default('web'),
    last_raw: on.last('raw').over('1h'),
    last_length: on.last((e) => e.merchant?.length ?? null, { type: t.int32() }).over('1h'),
    latest: on.latest('merchant'),
    first_n: on.firstN('cents', 2).over('1h').default([]),
    last_n: on.lastN('embedding', 2).over('1h'),
    top_n: on.topN('merchant', 3).over('24h'),
    bottom_n: on.bottomN('amount', 3).over('24h'),
    merchants: on.distinctCount('merchant', { limit: 3 }).over('24h'),
    about: on.approxDistinctCount('merchant', { precision: 4 }).over('24h'),
    median: on.quantile('amount', 0.5, { relativeError: 0.05 }).over('24h'),
    bins: on.histogram('amount', [0, 1, 100]).over('24h'),
    counts: on.valueCounts('merchant', { limit: 2 }).over('24h').default(new Map()),
    any: on.any('fraud').over('1h'),
    all: on.all((e) => e.items > 0).over('24h').default(false),
    vector_sum: on.vectorSum('embedding').over('24h').default([0, 0, 0]),
    vector_mean: on.vectorMean((e) => e.embedding, { type: t.vector(3) }).over('24h'),
    decayed: on.decayedSum('amount', { halfLife: '10m' }).over('lifetime'),
    decayed_count: on.decayedCount({ halfLife: '1h' }).over('24h'),
    by_channel: on.sum('cents').over('1h').bucketBy('channel'),
    by_merchant: on.lastN('items', 2).over('24h').bucketBy('merchant', { limit: 2 }),
    latest_by_merchant: on.latest('amount').bucketBy('merchant'),
  }),
})
export const everything = tm.featureService('everything', {
  features: [spend.all()],
  request: { limit: t.int64() },
  derive: {
    ratio: (f) => (f.spend__total === null ? null : f.spend__total / f.spend__payments),
    over_limit: { type: t.bool(), value: (f) => f.spend__cents > f.limit },
    tier: { type: t.enum('low', 'high'), value: (f) => (f.over_limit ? 'high' : 'low') },
    label: { type: t.string(), value: (f) => (f.spend__latest === null ? null : 'at ' + f.spend__latest) },
    left: { type: t.int64(), value: (f) => f.limit - f.spend__cents },
    centre: { type: t.vector(3), value: (f) => f.spend__vector_sum.map((x) => x / 2) },
    wrong: { type: t.int32(), value: (f) => 'text' },
  },
})
`
