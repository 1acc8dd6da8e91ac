import assert from 'node:assert/strict'
import { test } from 'node:test'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import { BothWays } from '../support/both-ways.ts'
import { Platform } from '../support/platform.ts'

/* Late data in other feature stores: skipped online, counted offline, or counted by a rule of its own. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const MIDNIGHT = Date.UTC(2024, 5, 1)

const DEFINITIONS = `
import { count, entity, featureService, featureView, last, latest, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments, features: {
  n_5m: count().over('5m'), n_1h: count().over('1h', { hop: '20m' }), sum_2h: sum('amount').over('2h'), sum_1d: sum('amount').over('24h'),
  newest: latest('amount'), ever: count().over('lifetime'),
} })
export const service = featureService('svc', { features: [view.all()] })
`
const payment = (amount: number, at: number) => ({ card_id: 'c', amount, at })

/**
 * Chronon drops events more than 5 minutes late online until the next daily batch and keeps them offline; Feast's incremental materialisation
 * skips late rows for good.
 */
test('events late by 4, 6, 60 and 600 minutes, across tile boundaries, reach the online value and the training row', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [payment(1000, MIDNIGHT)])
  let total = 1000
  for (const [i, late] of [4, 6, 60, 600].entries()) {
    const now = MIDNIGHT + (i + 1) * MINUTE
    platform.clock.ms = now
    // One just before, one just after the boundary of the tile that the late event falls into.
    const edge = Math.floor((now - late * MINUTE) / (15 * MINUTE)) * 15 * MINUTE
    await platform.send('payments', [payment(1, edge), payment(2, edge - 1), payment(4, now - late * MINUTE)])
    total += 7
    const cells = await both.at(now + 1, { card_id: 'c' })
    assert.equal(cells.pay__sum_1d.value, total)
    assert.equal(cells.pay__ever.value, 1 + 3 * (i + 1))
    assert.equal(cells.pay__newest.value, 1000)
  }
  await both.check()
})

/** Tecton: with a stream 30 minutes late a 1 h sum at 03:00 is 2 or 4, depending on the mode of the window's leading edge. */
test('stream 30 minutes late: a sum at 03:00 has one answer, then and for ever', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  for (let minute = 0; minute <= 240; minute += 15) {
    platform.clock.ms = MIDNIGHT + minute * MINUTE
    // What happened half an hour ago arrives now.
    await platform.send('payments', [payment(1, platform.clock.ms - 30 * MINUTE)])
    if (minute === 165) {
      const at3 = await both.at(MIDNIGHT + 3 * HOUR, { card_id: 'c' })
      // 02:00 ≤ event time < 03:00, received before 03:00: those of 02:00 and 02:15.
      assert.equal(at3.pay__n_1h.value, 2)
    }
  }
  await both.check()
})

/** Ingest behind by minutes: what was sent counts from when it could be known, on both sides. */
test('ingest that lags: an event counts from when it was taken in, not from when it was sent', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.produce('payments', [payment(1, MIDNIGHT), payment(2, MIDNIGHT + 10 * MINUTE)])
  assert.equal((await both.at(MIDNIGHT + MINUTE, { card_id: 'c' })).pay__ever.status, 'MISSING')
  platform.clock.ms = MIDNIGHT + 3 * MINUTE
  await new IngestRole(platform.context).runOnce()
  platform.clock.ms = MIDNIGHT + 4 * MINUTE
  await platform.settle()
  assert.equal((await both.at(MIDNIGHT + 5 * MINUTE, { card_id: 'c' })).pay__ever.value, 2)
  const { rows } = await (async () => {
    platform.clock.ms += 2000
    await platform.settle()
    return platform.export(
      'svc',
      [2, 3, 3.0001].map((minute) => ({ card_id: 'c', timestamp: MIDNIGHT + minute * MINUTE })),
    )
  })()
  assert.deepEqual(
    rows.map(({ values }) => values.pay__ever),
    [0, 0, 2],
  )
  await both.check()
})

/** SageMaker: a late delete does nothing online but is recorded offline. Here nothing is overwritten: a correction is an event, late or not. */
test('a late correction is told apart from the newest value by its time, online and offline alike', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [payment(10, MIDNIGHT - HOUR), payment(-10, MIDNIGHT - HOUR)])
  assert.equal((await both.at(MIDNIGHT + 1, { card_id: 'c' })).pay__sum_2h.value, 0)
  platform.clock.ms = MIDNIGHT + MINUTE
  await platform.send('payments', [payment(3, MIDNIGHT + MINUTE)])
  await platform.send('payments', [payment(-3, MIDNIGHT)])
  const cells = await both.at(MIDNIGHT + 2 * MINUTE, { card_id: 'c' })
  assert.equal(cells.pay__sum_2h.value, 0)
  assert.equal(cells.pay__newest.value, 3)
  await both.check()
})
