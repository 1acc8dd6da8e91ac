import assert from 'node:assert/strict'
import { test } from 'node:test'
import { valueToJson } from '../../features/values/json-values.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import { BothWays } from '../support/both-ways.ts'
import { Platform } from '../support/platform.ts'
import { Random, runSeed } from '../support/random.ts'

/* Order of events in other feature stores: ties, races and late writers that change a value. */

const MINUTE = 60_000
const MIDNIGHT = Date.UTC(2024, 5, 1)

const DEFINITIONS = `
import { count, entity, featureService, featureView, first, last, latest, max, mean, min, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), who: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments, features: {
  newest: latest('who'), last_1h: last('who').over('1h'), first_1h: first('who').over('1h'), last_ever: last('amount').over('lifetime'),
  total: sum('amount').over('1h'), mean_1h: mean('amount').over('1h'), least: min('amount').over('1h'), most: max('amount').over('1h'),
  n: count().over('1h'),
} })
export const service = featureService('svc', { features: [view.all()] })
`
const ORDERED = ['pay__newest', 'pay__last_1h', 'pay__first_1h', 'pay__last_ever']

/** Feast on Redis reads, then writes: of two writers with one timestamp the online store keeps the first, the offline store the newest created. */
test('two writers with the same timestamps, interleaved at random: online and training agree', async (context) => {
  const random = new Random(runSeed('two writers'))
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const other = await platform.another()
  context.after(() => other.close())
  const both = new BothWays(platform, 'svc')
  for (let round = 0; round < 6; round++) {
    const at = platform.clock.ms
    const event = (who: string) => ({ card_id: 'c', who, amount: random.pick([0.1, 1e16, -1e16, 3]), at })
    const writers = [0, 1].map((writer) => async () => {
      for (let i = 0; i < 4; i++) {
        if (random.below(2) === 0) await Promise.resolve()
        await platform.produce('payments', [event(`${writer}-${round}-${i}`)])
        if (random.below(3) === 0)
          await new IngestRole(random.below(2) === 0 ? platform.context : other.context).runOnce()
      }
    })
    await Promise.all(random.shuffle(writers).map((write) => write()))
    await platform.settle()
    const cells = await both.at(platform.clock.ms + 1 + random.below(9 * MINUTE), { card_id: 'c' })
    assert.equal(cells.pay__last_1h.value, cells.pay__newest.value)
  }
  await both.check()
})

/** Chronon: LAST over events of one millisecond depends on the order in which they are processed. */
test('events of one millisecond: last is the last appended, in any batches and after any restart; sums do not depend on it', async (context) => {
  const random = new Random(runSeed('permutations'))
  const amounts = [0.1, 1e16, -1e16, 0.3]
  const sums = new Set<unknown>()
  for (let round = 0; round < 5; round++) {
    const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT, partitions: 1 })
    const both = new BothWays(platform, 'svc')
    const order = random.shuffle(amounts)
    const events = order.map((amount, i) => ({ card_id: 'c', who: `w${i}`, amount, at: MIDNIGHT }))
    for (let at = 0; at < events.length;) {
      await platform.send('payments', events.slice(at, (at += 1 + random.below(3))))
      if (random.below(2) === 0) await platform.restart()
    }
    const cells = await both.at(MIDNIGHT + 1, { card_id: 'c' })
    assert.deepEqual(
      ORDERED.map((name) => cells[name].value),
      ['w3', 'w3', 'w0', order[3]],
    )
    for (const name of Object.keys(cells).filter((name) => !ORDERED.includes(name)))
      sums.add(`${name} ${valueToJson(cells[name].value)}`)
    await both.check()
  }
  assert.equal(sums.size, 5, [...sums].join('; '))
})

/** Hopsworks: the last arrival wins online, so an older fact that arrives later replaces the newer one. */
test('an older event that arrives after a newer one changes no newest value, and counts in its window', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [{ card_id: 'c', who: 'new', amount: 2, at: MIDNIGHT }])
  const before = await both.at(MIDNIGHT + MINUTE, { card_id: 'c' })
  await platform.send('payments', [{ card_id: 'c', who: 'old', amount: 1, at: MIDNIGHT - 10 * MINUTE }])
  const after = await both.at(MIDNIGHT + 2 * MINUTE, { card_id: 'c' })
  for (const name of ['pay__newest', 'pay__last_1h', 'pay__last_ever']) assert.deepEqual(after[name], before[name])
  assert.equal(after.pay__first_1h.value, 'old')
  assert.equal(after.pay__n.value, 2)
  await both.check()
})

/** Chronon's asynchronous writer: an older tile may overwrite a newer one. */
test('a flush that comes after another owner’s is refused, and changes nothing', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT, partitions: 1 })
  const other = await platform.another()
  context.after(() => other.close())
  const both = new BothWays(platform, 'svc')
  const ingest = new IngestRole(platform.context)
  const stale = new ApplyRole(platform.context)
  await platform.produce('payments', [{ card_id: 'c', who: 'a', amount: 1, at: MIDNIGHT }])
  await ingest.runOnce()
  await stale.runOnce()
  await platform.produce('payments', [{ card_id: 'c', who: 'b', amount: 2, at: MIDNIGHT }])
  await ingest.runOnce()
  const owner = new ApplyRole(other.context)
  await owner.runOnce()
  await platform.produce('payments', [{ card_id: 'c', who: 'c', amount: 4, at: MIDNIGHT }])
  await ingest.runOnce()
  // Refused: it lets the partition go, to read the ownership anew in its next round.
  await stale.runOnce()
  assert.equal((await both.at(MIDNIGHT + 1, { card_id: 'c' })).pay__total.value, 3)
  await owner.runOnce()
  assert.equal((await both.at(MIDNIGHT + 2, { card_id: 'c' })).pay__total.value, 7)
  await platform.settle()
  platform.clock.ms += 2000
  await platform.settle()
  assert.deepEqual((await platform.verify()).mismatches, [])
})
