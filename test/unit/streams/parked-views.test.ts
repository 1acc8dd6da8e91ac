import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParkedViews, reportParkedViews } from '../../../streams/apply/parked-views.ts'
import { Platform } from '../../support/platform.ts'

const HOUR = 3_600_000
const GRACE = 24 * HOUR
const definitions = (
  feature: string,
  more = '',
) => `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const merchant = entity('merchant', { merchant: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cards = featureView('cards', { entity: card, from: payments, features: { n: ${feature} } })
export const fraud = featureService('fraud', { features: [cards.all()] })
${more}`
const FIRST = definitions("count().over('lifetime')")
const SECOND = definitions("count().over('24h')")
const MERCHANTS = `export const merchants = featureView('merchants', { entity: merchant, from: payments, features: { total: sum('amount').over('lifetime') } })
`

/** Versions of which something is stored, by number of entities. */
async function stored({ context }: Platform): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const { version } of await context.registry.viewVersions()) {
    const { plan } = await context.registry.view(version)
    for (let bucket = 0; bucket < context.buckets; bucket++) {
      const id = { keyedLog: `${plan.source.name}.${plan.entity.name}`, bucket }
      for await (const _ of context.online.scan(id, version)) found[plan.name] = (found[plan.name] ?? 0) + 1
    }
  }
  return found
}

async function change(platform: Platform, to: string): Promise<void> {
  await platform.apply(to)
  await platform.settle()
}

test('states out of reach are dropped after the grace period, not before; a rollback within it finds them, one after it replays', async (context) => {
  const platform = await Platform.open(context, FIRST)
  const parked = new ParkedViews(platform.context, GRACE)
  const pay = (card_id: string) => ({ card_id, merchant: 'm', amount: 1, paid_at: platform.clock.ms })
  const count = async (card_id: string) => (await platform.readOne('fraud', { card_id })).cells.cards__n.value
  await platform.send('payments', [pay('a'), pay('b'), pay('a')])
  await change(platform, SECOND)
  assert.deepEqual(await stored(platform), { cards: 4 })
  assert.deepEqual(await parked.runOnce(), [])
  const since = platform.clock.ms
  platform.clock.ms += GRACE - 1
  assert.deepEqual(await parked.runOnce(), [])
  assert.deepEqual(await stored(platform), { cards: 4 })
  const [first] = await reportParkedViews(platform.context, GRACE)
  assert.deepEqual([first.view, first.since, first.dropAt, first.dropped], ['cards', since, since + GRACE, false])

  await change(platform, FIRST)
  assert.equal(await count('a'), 2)
  assert.deepEqual(await parked.runOnce(), [])
  assert.deepEqual(
    (await reportParkedViews(platform.context, GRACE)).map(({ version }) => version === first.version),
    [false],
  )
  platform.clock.ms += GRACE
  assert.deepEqual(
    (await parked.runOnce()).map(({ view, dropped }) => [view, dropped]),
    [['cards', true]],
  )
  assert.deepEqual(await stored(platform), { cards: 2 })
  assert.deepEqual(await parked.runOnce(), [])

  await platform.send('payments', [pay('b')])
  await change(platform, SECOND)
  assert.equal(await count('b'), 1)
  await change(platform, FIRST)
  assert.deepEqual([await count('a'), await count('b')], [2, 2])
  assert.deepEqual((await platform.verify()).mismatches, [])
})

test('a keyed log that nothing reads any more gives its states up too; others keep theirs', async (context) => {
  const platform = await Platform.open(context, FIRST + MERCHANTS)
  const parked = new ParkedViews(platform.context, GRACE)
  const pay = () => ({ card_id: 'a', merchant: 'm', amount: 4, paid_at: platform.clock.ms })
  await platform.send('payments', [pay(), pay()])
  await platform.settle()
  await change(platform, FIRST)
  await parked.runOnce()
  platform.clock.ms += GRACE
  assert.deepEqual(
    (await parked.runOnce()).map(({ view }) => view),
    ['merchants'],
  )
  assert.deepEqual(await stored(platform), { cards: 1 })
  await platform.send('payments', [pay()])
  assert.equal((await platform.readOne('fraud', { card_id: 'a' })).cells.cards__n.value, 3)
})
