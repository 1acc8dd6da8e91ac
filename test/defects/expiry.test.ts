import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BothWays } from '../support/both-ways.ts'
import { Platform } from '../support/platform.ts'

/* Time to live of other feature stores: four answers for one expired value. */

const HOUR = 3_600_000
const MIDNIGHT = Date.UTC(2024, 5, 1)

const DEFINITIONS = `
import { count, entity, featureService, featureView, latest, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at',
})
const features = {
  newest: latest('amount'), total: sum('amount').over('lifetime'), n: count().over('2h'),
  fallback: sum('amount').over('2h').default(-1),
}
export const kept = featureView('kept', { entity: card, from: payments, features, ttl: '1h' })
export const windows = featureView('windows', { entity: card, from: payments, ttl: '1h',
  features: { n: count().over('30m'), total: sum('amount').over('30m').default(7) } })
export const service = featureService('svc', { features: [kept.all(), windows.all()] })
`

/**
 * Feast 0.67: for one expired value online says PRESENT with the value, a precomputed vector flips the status and still gives the value, one
 * offline engine gives null and another drops the training row.
 */
test('ttl: at ttl − 1, ttl and ttl + 1 ms online and offline agree in value and status, and an expired value is null', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [{ card_id: 'c', amount: 5, at: MIDNIGHT }])
  for (const t of [MIDNIGHT + HOUR - 1, MIDNIGHT + HOUR]) {
    const cells = await both.at(t, { card_id: 'c' })
    assert.deepEqual(cells.kept__newest, { value: 5, status: 'PRESENT' })
    assert.deepEqual(cells.kept__fallback, { value: 5, status: 'PRESENT' })
    assert.deepEqual(cells.windows__n, { value: 0, status: 'EMPTY_WINDOW' })
    assert.deepEqual(cells.windows__total, { value: 7, status: 'DEFAULTED' })
  }
  const expired = await both.at(MIDNIGHT + HOUR + 1, { card_id: 'c' })
  for (const name of ['kept__newest', 'kept__total', 'kept__n', 'windows__n'])
    assert.deepEqual(expired[name], { value: null, status: 'EXPIRED' }, name)
  assert.deepEqual(expired.kept__fallback, { value: -1, status: 'EXPIRED' })
  assert.deepEqual(expired.windows__total, { value: 7, status: 'EXPIRED' })
  await both.check()
})

/** Feast on Redis: a key that was never written reads PRESENT. And an entity long gone must read the same whether its state was dropped or not. */
test('a key never written is MISSING, and so is one beyond any window and ttl, online and offline', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [{ card_id: 'c', amount: 5, at: MIDNIGHT }])
  const never = await both.at(MIDNIGHT + 1, { card_id: 'nobody' })
  assert.deepEqual(never.kept__newest, { value: null, status: 'MISSING' })
  assert.deepEqual(never.kept__n, { value: 0, status: 'MISSING' })
  assert.deepEqual(never.kept__fallback, { value: -1, status: 'DEFAULTED' })
  // Without lifetime values an entity is kept for the longest of windows and ttl plus a hop: here 1 h + 1 min.
  for (const [after, status] of [
    [HOUR + 60_000, 'EXPIRED'],
    [HOUR + 60_001, 'MISSING'],
  ] as const)
    assert.equal((await both.at(MIDNIGHT + after, { card_id: 'c' })).windows__n.status, status)
  await both.check()
})

/** An event from the future must not make an entity younger than its newest knowledge. */
test('ttl counts from when a future event was received', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [{ card_id: 'c', amount: 5, at: MIDNIGHT + 1000 * HOUR }])
  assert.equal((await both.at(MIDNIGHT + HOUR, { card_id: 'c' })).kept__newest.status, 'PRESENT')
  assert.equal((await both.at(MIDNIGHT + HOUR + 1, { card_id: 'c' })).kept__newest.status, 'EXPIRED')
  await both.check()
})
