import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ViewPlan } from '../../../features/plan/view-plan.ts'
import { compileProject } from '../../../registry/compile-project.ts'
import { temporaryProject } from '../../support/project.ts'

const HEAD = `import * as tm from 'tidemark'
import { t } from 'tidemark'
const card = tm.entity('card', { card_id: t.string() })
const payments = tm.stream('payments', {
  schema: {
    card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), price: t.float32(), items: t.int32(), cents: t.int64(),
    fraud: t.bool(), embedding: t.vector(3), raw: t.bytes(), channel: t.enum('web', 'shop'), paid_at: t.timestamp(),
  },
  eventTime: 'paid_at',
})
`

async function viewPlan(context: TestContext, features: string): Promise<ViewPlan> {
  const text = `${HEAD}export const spend = tm.featureView('spend', { entity: card, from: payments, features: { ${features} } })\n`
  const candidates = await compileProject(temporaryProject(context, { 'features/spend.ts': text }))
  return candidates.find(({ kind }) => kind === 'view')?.plan as ViewPlan
}

const column = (name: string, kind: string, more: object = {}) => ({
  column: name,
  type: { kind, ...more },
  nullable: name === 'merchant',
})
const amount = column('amount', 'float64')
const merchant = column('merchant', 'string')
const embedding = column('embedding', 'vector', { length: 3 })

/** What is written, the aggregation of the plan, and the type of the value. */
const ACCEPTED: readonly [written: string, aggregation: object, type: object][] = [
  ["tm.count().over('1h')", { kind: 'count', input: null }, { kind: 'count' }],
  ["tm.countWhere('fraud').over('1h')", { kind: 'countWhere', input: column('fraud', 'bool') }, { kind: 'count' }],
  [
    "tm.countWhere((e) => e.amount > 1).over('1h')",
    { kind: 'countWhere', input: { fn: 0, type: { kind: 'bool' }, nullable: true } },
    { kind: 'count' },
  ],
  ["tm.sum('cents').over('1h')", { kind: 'sum', input: column('cents', 'int64') }, { kind: 'int64' }],
  [
    "tm.sum((e) => e.cents, { type: t.int64() }).over('1h')",
    { kind: 'sum', input: { fn: 0, type: { kind: 'int64' }, nullable: true } },
    { kind: 'int64' },
  ],
  ["tm.mean('items').over('1h')", { kind: 'mean', input: column('items', 'int32') }, { kind: 'float64' }],
  ["tm.min('cents').over('1h')", { kind: 'min', input: column('cents', 'int64') }, { kind: 'int64' }],
  ["tm.max('paid_at').over('1h')", { kind: 'max', input: column('paid_at', 'timestamp') }, { kind: 'timestamp' }],
  ["tm.variance('amount').over('1h')", { kind: 'variance', input: amount, sample: false }, { kind: 'float64' }],
  [
    "tm.stddev('amount', { sample: true }).over('1h')",
    { kind: 'stddev', input: amount, sample: true },
    { kind: 'float64' },
  ],
  ["tm.skewness('amount').over('1h')", { kind: 'skewness', input: amount }, { kind: 'float64' }],
  ["tm.kurtosis('amount').over('1h')", { kind: 'kurtosis', input: amount }, { kind: 'float64' }],
  ["tm.first('merchant').over('1h')", { kind: 'first', input: merchant }, { kind: 'string' }],
  [
    "tm.last((e) => e.merchant, { type: t.string() }).over('1h')",
    { kind: 'last', input: { fn: 0, type: { kind: 'string' }, nullable: true } },
    { kind: 'string' },
  ],
  ["tm.latest('merchant')", { kind: 'latest', input: merchant }, { kind: 'string' }],
  [
    "tm.firstN('merchant', 2).over('1h')",
    { kind: 'firstN', input: merchant, n: 2 },
    { kind: 'list', of: { kind: 'string' } },
  ],
  [
    "tm.lastN('embedding', 2).over('1h')",
    { kind: 'lastN', input: embedding, n: 2 },
    { kind: 'list', of: embedding.type },
  ],
  [
    "tm.topN('cents', 3).over('1h')",
    { kind: 'topN', input: column('cents', 'int64'), n: 3 },
    { kind: 'list', of: { kind: 'int64' } },
  ],
  [
    "tm.bottomN('amount', 3).over('1h')",
    { kind: 'bottomN', input: amount, n: 3 },
    { kind: 'list', of: { kind: 'float64' } },
  ],
  [
    "tm.distinctCount('raw').over('1h')",
    { kind: 'distinctCount', input: column('raw', 'bytes'), limit: 1000 },
    { kind: 'count' },
  ],
  [
    "tm.approxDistinctCount('merchant', { precision: 12 }).over('1h')",
    { kind: 'approxDistinctCount', input: merchant, precision: 12 },
    { kind: 'count' },
  ],
  [
    "tm.quantile('amount', 0.5).over('1h')",
    { kind: 'quantile', input: amount, q: 0.5, relativeError: 0.01, maxBuckets: 2048 },
    { kind: 'float64' },
  ],
  [
    "tm.histogram('amount', [0, 1.5]).over('1h')",
    { kind: 'histogram', input: amount, edges: [0, 1.5] },
    { kind: 'list', of: { kind: 'count' } },
  ],
  [
    "tm.valueCounts('merchant', { limit: 7 }).over('1h')",
    { kind: 'valueCounts', input: merchant, limit: 7 },
    { kind: 'map', key: { kind: 'string' }, value: { kind: 'count' } },
  ],
  ["tm.any('fraud').over('1h')", { kind: 'any', input: column('fraud', 'bool') }, { kind: 'bool' }],
  [
    "tm.all((e) => e.fraud).over('1h')",
    { kind: 'all', input: { fn: 0, type: { kind: 'bool' }, nullable: true } },
    { kind: 'bool' },
  ],
  ["tm.vectorSum('embedding').over('1h')", { kind: 'vectorSum', input: embedding }, embedding.type],
  [
    "tm.vectorMean((e) => e.embedding, { type: t.vector(3) }).over('1h')",
    { kind: 'vectorMean', input: { fn: 0, type: embedding.type, nullable: true } },
    embedding.type,
  ],
  [
    "tm.decayedSum('amount', { halfLife: '1h' }).over('lifetime')",
    { kind: 'decayedSum', input: amount, halfLifeMs: 3_600_000 },
    { kind: 'float64' },
  ],
  [
    "tm.decayedCount({ halfLife: '30s' }).over('7d')",
    { kind: 'decayedCount', input: null, halfLifeMs: 30_000 },
    { kind: 'float64' },
  ],
]
for (const [written, aggregation, type] of ACCEPTED) {
  test(`planned: ${written}`, async (context) => {
    const [feature] = (await viewPlan(context, `a: ${written}`)).features
    assert.deepEqual({ aggregation: feature.aggregation, type: feature.type }, { aggregation, type })
  })
}

const REFUSED: readonly [written: string, says: RegExp][] = [
  ["tm.count('merchant').over('1h')", /count counts events and reads no column/],
  ["tm.sum(3).over('1h')", /sum reads a column by name or a function, found 3/],
  ["tm.sum('amount', { sampel: true }).over('1h')", /sum has no option "sampel"; it has type/],
  ["tm.sum('amount', { type: t.int64() }).over('1h')", /type is for functions: column amount has its own, float64/],
  ["tm.sum((e) => e.amount, { type: 'int64' }).over('1h')", /the type of its function must have a type/],
  ["tm.sum('amount', 7).over('1h')", /sum has no option "options"/],
  ["tm.mean('merchant').over('1h')", /mean reads .*, but its input is string/],
  ["tm.min('merchant').over('1h')", /min reads int32, int64, float32, float64, timestamp, but its input is string/],
  ["tm.stddev('amount', { sample: 'yes' }).over('1h')", /sample of stddev must be true or false, found "yes"/],
  ["tm.firstN('amount').over('1h')", /n of firstN must be an integer from 1 to 1,000, found undefined/],
  ["tm.topN('amount', 1.5).over('1h')", /n of topN must be an integer/],
  ["tm.lastN('amount', 1001).over('1h')", /n of lastN must be an integer from 1 to 1,000, found 1001/],
  ["tm.topN('embedding', 2).over('1h')", /topN reads .*, but its input is vector/],
  [
    "tm.distinctCount('merchant', { limit: 0 }).over('1h')",
    /limit of distinctCount must be an integer from 1 to 100,000/,
  ],
  [
    "tm.approxDistinctCount('merchant', { precision: 3 }).over('1h')",
    /precision of approxDistinctCount .* from 4 to 16/,
  ],
  ["tm.quantile('amount', 1.01).over('1h')", /q of quantile must lie between 0 and 1, found 1.01/],
  ["tm.quantile('amount', NaN).over('1h')", /q of quantile must lie between 0 and 1, found NaN/],
  ["tm.quantile('amount', 0.5, { relativeError: 0 }).over('1h')", /relativeError of quantile must lie between/],
  ["tm.quantile('amount', 0.5, { maxBuckets: 2 }).over('1h')", /maxBuckets of quantile must be an integer/],
  ["tm.quantile('merchant', 0.5).over('1h')", /quantile reads .*, but its input is string/],
  ["tm.histogram('amount', [1, 1]).over('1h')", /edges of histogram must ascend/],
  ["tm.histogram('amount', []).over('1h')", /edges of histogram must be an array of 1 to 1,024 finite numbers/],
  ["tm.histogram('amount', [1, Infinity]).over('1h')", /edges of histogram must be an array/],
  ["tm.any('amount').over('1h')", /any reads bool, but its input is float64/],
  ["tm.all((e) => true, { type: t.int32() }).over('1h')", /the function of all returns true or false/],
  ["tm.vectorSum('amount').over('1h')", /vectorSum reads vector, but its input is float64/],
  ["tm.vectorSum((e) => e.embedding).over('1h')", /vectorSum of a function needs its type/],
  ["tm.decayedSum('amount').over('1h')", /halfLife of decayedSum must be a duration/],
  ["tm.decayedCount({ halfLife: 60 }).over('1h')", /halfLife of decayedCount must be a duration.*found 60/],
  ['tm.latest((e) => e.amount)', /latest reads a column/],
  ["tm.count().over('1h').bucketBy('shop')", /bucketBy reads column "shop", which the source does not have/],
  ["tm.count().over('1h').bucketBy('embedding')", /bucketBy reads .*, but its input is vector/],
  ["tm.count().over('1h').bucketBy('merchant', { limit: -1 })", /limit of bucketBy must be an integer/],
  ["tm.sum('items').over('1h').default(1.5)", /its default must be a bigint of 64 bits, found 1.5/],
  ["tm.sum('amount').over('1h').default(null)", /its default must be a finite number, found null/],
  ["tm.last('channel').over('1h').default('phone')", /its default must be one of web, shop, found "phone"/],
  ["tm.firstN('items', 2).over('1h').default(['a'])", /its default holds a value that must be an integer/],
  ["tm.valueCounts('merchant').over('1h').default({})", /its default must be a Map/],
  ["tm.vectorMean('embedding').over('1h').default([1])", /its default must be an array of 3 finite numbers/],
  ["tm.count().over('1h', { hops: '1m' })", /count has no option "hops".*over\(window, { hop }\) has hop/],
  ["tm.count().over('lifetime', { hop: '1m' })", /a lifetime window has no tail and so no hop/],
  ['tm.count().over(3600)', /window 3600 is not a duration/],
  ["tm.count().over('90d', { hop: '1ms' })", /more than a million hops/],
  ["tm.count().over('9999999d')", /is not a duration/],
]
for (const [written, says] of REFUSED) {
  test(`refused: ${written}`, async (context) => {
    await assert.rejects(viewPlan(context, `a: ${written}`), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'TM_DEFINITION_INVALID', error.message)
      assert.match(error.message, /features\/spend\.ts:11: feature a of view spend: /)
      assert.match(error.message, says)
      return true
    })
  })
}

test('defaults of every type stand in the plan', async (context) => {
  const { features } = await viewPlan(
    context,
    `a: tm.sum('items').over('1h').default(-5n), b: tm.last('price').over('1h').default(0.1), c: tm.any('fraud').over('1h').default(false),
     d: tm.vectorMean('embedding').over('1h').default([0.1, 0, -0]), e: tm.firstN('cents', 3).over('1h').default([]),
     f: tm.valueCounts('merchant').over('1h').default(new Map([['a', 0]])), g: tm.last('raw').over('1h').default(new Uint8Array([255])),
     h: tm.sum('cents').over('1h').bucketBy('channel').default(new Map([['web', 7n]]))`,
  )
  assert.deepEqual(
    features.map((feature) => feature.default),
    [
      { int64: '-5' },
      Math.fround(0.1),
      false,
      [Math.fround(0.1), 0, 0],
      [],
      { pairs: [['a', 0]] },
      { base64: '/w==' },
      { pairs: [['web', { int64: '7' }]] },
    ],
  )
})
