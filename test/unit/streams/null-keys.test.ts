import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasErrorCode } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'

const SOURCE = `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const merchant = entity('merchant', { merchant: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string().nullable(), merchant: t.string().nullable(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cards = featureView('cards', { entity: card, from: payments, features: { n: count().over('lifetime') } })
export const fraud = featureService('fraud', { features: [cards.all()] })
`
const WITH_MERCHANTS = `${SOURCE}
export const merchants = featureView('merchants', { entity: merchant, from: payments, features: { total: sum('amount').over('lifetime') } })
export const risk = featureService('risk', { features: [merchants.all()] })
`

test('an event without the key of one entity counts for the others, in events and files; one without any key is a dead letter', async (context) => {
  const platform = await Platform.open(context, WITH_MERCHANTS)
  const paid_at = platform.clock.ms
  const rows = [
    { card_id: 'a', merchant: null, amount: 1, paid_at },
    { card_id: null, merchant: 'm', amount: 2, paid_at },
    { card_id: 'a', merchant: 'm', amount: 4, paid_at },
    { card_id: null, merchant: null, amount: 8, paid_at },
  ]
  const expected = { accepted: 3, refused: 1, codes: { TM_EVENT_KEY_NULL: 1 } }
  assert.deepEqual(await platform.send('payments', rows), expected)
  assert.deepEqual(await platform.import('payments', rows), expected)
  await platform.settle()
  assert.equal((await platform.readOne('fraud', { card_id: 'a' })).cells.cards__n.value, 4)
  assert.equal((await platform.readOne('risk', { merchant: 'm' })).cells.merchants__total.value, 12)
})

test('an event with a key too long for one entity counts for the others; one without any other key is a dead letter, until an entity comes that it has a key of', async (context) => {
  const platform = await Platform.open(context, WITH_MERCHANTS)
  const paid_at = platform.clock.ms
  const long = 'ü'.repeat(513)
  const rows = [
    { card_id: 'a', merchant: long, amount: 1, paid_at },
    { card_id: long, merchant: 'm', amount: 2, paid_at },
    { card_id: long, merchant: null, amount: 4, paid_at },
    { card_id: long, merchant: long, amount: 8, paid_at },
    { card_id: null, merchant: null, amount: 16, paid_at },
  ]
  const expected = { accepted: 2, refused: 3, codes: { TM_KEY_TOO_LONG: 2, TM_EVENT_KEY_NULL: 1 } }
  assert.deepEqual(await platform.send('payments', rows), expected)
  assert.deepEqual(await platform.import('payments', rows), expected)
  await platform.settle()
  assert.equal((await platform.readOne('fraud', { card_id: 'a' })).cells.cards__n.value, 2)
  assert.equal((await platform.readOne('risk', { merchant: 'm' })).cells.merchants__total.value, 4)
  for (const card_id of [long, 'x'.repeat(100_000)])
    assert.equal((await platform.readOne('fraud', { card_id })).cells.cards__n.status, 'MISSING')
  await platform.apply(`${WITH_MERCHANTS}
export const size = entity('size', { amount: t.float64() })
export const sizes = featureView('sizes', { entity: size, from: payments, features: { n: count().over('lifetime') } })
export const by_size = featureService('by_size', { features: [sizes.all()] })
`)
  await platform.settle()
  const counts = await platform.read(
    'by_size',
    [1, 2, 4, 8, 16].map((amount) => ({ amount })),
  )
  assert.deepEqual((await platform.verify()).mismatches, [])
  assert.deepEqual(
    counts.map(({ values }) => values[0]),
    [2, 2, 2, 2, 2],
  )
})

test('what a view counts does not depend on a view of another entity beside it', async (context) => {
  const counts: unknown[] = []
  for (const definitions of [SOURCE, WITH_MERCHANTS]) {
    const platform = await Platform.open(context, definitions)
    const paid_at = platform.clock.ms
    await platform.send('payments', [
      { card_id: 'a', merchant: null, amount: 1, paid_at },
      { card_id: 'a', merchant: 'm', amount: 4, paid_at },
    ])
    counts.push((await platform.readOne('fraud', { card_id: 'a' })).cells.cards__n.value)
  }
  assert.deepEqual(counts, [2, 2])
})

test('events produced before any view reads their source count for the first one that does', async (context) => {
  const platform = await Platform.open(context, SOURCE.replace(/export const (cards|fraud) .*\n/g, ''))
  const event = { card_id: 'a', merchant: null, amount: 1, paid_at: platform.clock.ms }
  await platform.send('payments', [event])
  await assert.rejects(platform.import('payments', [event]), hasErrorCode('TM_SOURCE_UNUSED'))
  await platform.apply(SOURCE)
  await platform.send('payments', [event])
  assert.equal((await platform.readOne('fraud', { card_id: 'a' })).cells.cards__n.value, 2)
})
