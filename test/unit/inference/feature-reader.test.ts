import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FeatureReader } from '../../../inference/assemble.ts'
import { answer, isAsciiAnswer } from '../../../serving/answer.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const DEFINITIONS = `import { count, decayedSum, entity, featureService, featureView, last, max, mean, stream, sum, t, valueCounts } from 'tidemark'
const card = entity('card', { card_id: t.string(), shard: t.int64() })
const merchant = entity('merchant', { merchant: t.string() })
const payments = stream('payments', {
  schema: { card_id: t.string(), shard: t.int64(), merchant: t.string(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export { card, merchant, payments }
export const cardPay = featureView('card_pay', { entity: card, from: payments, ttl: '20m', features: {
  n_10m: count().over('10m'), total_1h: sum('amount').over('1h'), biggest: max('amount').over('1h').default(-1), merchants: valueCounts('merchant', { limit: 4 }).over('1h') } })
export const cardEver = featureView('card_ever', { entity: card, from: payments, features: { last_merchant: last('merchant').over('lifetime') } })
export const merchantPay = featureView('merchant_pay', { entity: merchant, from: payments, features: {
  mean_1h: mean('amount').over('1h'), faded: decayedSum('amount', { halfLife: '10m' }).over('1h') } })
export const svc = featureService('svc', {
  features: [cardPay.pick('total_1h'), merchantPay.pick('mean_1h'), cardPay.pick('n_10m', 'biggest', 'merchants'), cardEver.all()],
  request: { amount: t.float64() },
  derive: { share: (f) => f.amount / (f.card_pay__total_1h ?? f.amount) },
})
export const fading = featureService('fading', { features: [merchantPay.all()] })
`

const WANTED = ['DEFAULTED', 'EMPTY_WINDOW', 'EXPIRED', 'MISSING', 'PRESENT']

test(
  'a reader with a cache gives, at any moment, what a fresh one gives, byte for byte',
  { timeout: 120_000 },
  async (context) => {
    const random = new Random(runSeed('cached reads'))
    const platform = await Platform.open(context, DEFINITIONS)
    const { registry, online, buckets, partitions } = platform.context
    const options = { registry, online, buckets, partitions, now: () => platform.clock.ms }
    const cached = new FeatureReader(options)
    const small = new FeatureReader({ ...options, cacheBytesMax: 4000 })
    const shards = [0n, 2n ** 60n + 1n, -(2n ** 63n)]
    const compared = { cells: 0, statuses: new Set<string>(), ascii: new Set<boolean>() }
    // As many rounds as it takes for every status to occur, which chance alone decides.
    for (
      let round = 0;
      round < 30 || (round < 300 && !WANTED.every((status) => compared.statuses.has(status)));
      round++
    ) {
      if (random.below(2) === 0)
        await platform.send(
          'payments',
          Array.from({ length: random.below(12) }, () => {
            const { shard, ...rest } = {
              ...entity(random, shards),
              amount: random.below(100) / 7,
              paid_at: platform.clock.ms - random.pick([0, 1, random.below(7_200_000)]),
            }
            return `${JSON.stringify(rest).slice(0, -1)},"shard":${shard}}`
          }),
        )
      platform.clock.ms += random.pick([0, 1, 59_999, random.below(600_000), random.below(9_000_000)])
      for (const name of ['svc', 'fading']) {
        const service = await registry.service(name)
        const entities = Array.from({ length: 6 }, () => {
          const { card_id, shard, merchant } = entity(random, shards)
          if (name === 'fading') return { merchant }
          return random.below(10) === 0 ? { card_id: null, shard, merchant } : { card_id, shard, merchant }
        })
        const requests = name === 'svc' ? entities.map(() => ({ amount: random.below(10) })) : []
        const read = async (reader: FeatureReader): Promise<string> => {
          const vectors = await reader.read(service, entities, requests)
          compared.cells += vectors[0].values.length
          for (const { statuses } of vectors) for (const status of statuses) compared.statuses.add(status)
          return answer(service, vectors, { clock: 'real' })
        }
        const expected = await read(new FeatureReader({ ...options, cacheBytesMax: 0 }))
        assert.equal(await read(cached), expected, `round ${round}, cached`)
        assert.equal(await read(small), expected, `round ${round}, small cache`)
        const atOnce = cached.readNow(service, entities, requests)
        assert.ok(atOnce !== null, 'what was just read can be read at once')
        assert.equal(answer(service, atOnce, { clock: 'real' }), expected, `round ${round}, at once`)
        const isAscii = Buffer.byteLength(expected) === expected.length
        assert.equal(isAsciiAnswer(atOnce), isAscii)
        compared.ascii.add(isAscii)
      }
    }
    assert.ok(cached.counts.hits > 100, `${cached.counts.hits} hits: the cache was not tried`)
    assert.equal(compared.ascii.size, 2, 'answers in ASCII and others')
    for (const status of WANTED) assert.ok(compared.statuses.has(status), `no ${status} occurred`)
  },
)

function entity(random: Random, shards: readonly bigint[]) {
  return {
    card_id: random.pick(['a', 'b', '']),
    shard: random.pick(shards),
    merchant: random.pick(['m', 'n', '1:m', 'né']),
  }
}
