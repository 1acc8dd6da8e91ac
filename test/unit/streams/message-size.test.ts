import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../stores/log/log.ts'
import { countDeadLetters } from '../../../streams/dead-letters/dead-letter-counts.ts'
import { readDeadLetters } from '../../../streams/dead-letters/dead-letters.ts'
import type { StoredLetter } from '../../../streams/dead-letters/dead-letters.ts'
import { thinDeadLetters } from '../../../streams/forget/thin-logs.ts'
import { ForgottenKey } from '../../../streams/forget/forgotten-key.ts'
import { replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import { StreamRole } from '../../../streams/stream-role.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { STREAM_LIMITS } from '../../../streams/stream-limits.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const NOW = Date.UTC(2024, 5, 1)
const MESSAGE_BYTES = 20_000
const ROUNDS = 3
const DEFINITIONS = `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const shop = entity('shop', { shop_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), shop_id: t.string(), amount: t.float64(), note: t.string().nullable(), at: t.timestamp() },
  eventTime: 'at',
})
const features = { n: count().over('lifetime'), total: sum('amount').over('lifetime') }
export const byCard = featureView('by_card', { entity: card, from: payments, features })
export const byShop = featureView('by_shop', { entity: shop, from: payments, features })
export const svc = featureService('svc', { features: [byCard.all()] })
export const shops = featureService('shops', { features: [byShop.all()] })
`
const CARDS = ['a', 'b', 'c', 'd']

interface Event {
  readonly [name: string]: string | number | null
  readonly card_id: string
  readonly amount: number
}

/** Text that does not compress. */
function noise(random: Random, length: number): string {
  return Array.from({ length }, () => String.fromCharCode(32 + random.below(94))).join('')
}

async function open(test: Parameters<typeof Platform.open>[0], messageBytesMax: number): Promise<Platform> {
  const platform = await Platform.open(test, DEFINITIONS, { now: NOW })
  limit(platform, messageBytesMax)
  return platform
}

function limit(platform: Platform, messageBytesMax: number): void {
  platform.context = { ...platform.context, limits: { ...STREAM_LIMITS, messageBytesMax } }
}

/** What the counts and sums of all cards and of the shop must be. */
async function assertTotals(platform: Platform, events: readonly Event[]): Promise<void> {
  const expected = (some: readonly Event[]): number[] => [
    some.length,
    some.reduce((sum, { amount }) => sum + amount, 0),
  ]
  for (const card_id of CARDS) {
    const own = events.filter((event) => event.card_id === card_id)
    if (own.length === 0) continue
    const { cells } = await platform.readOne('svc', { card_id })
    assert.deepEqual([cells.by_card__n.value, cells.by_card__total.value], expected(own), card_id)
  }
  const { cells } = await platform.readOne('shops', { shop_id: 's' })
  assert.deepEqual([cells.by_shop__n.value, cells.by_shop__total.value], expected(events))
  assert.deepEqual((await platform.verify()).mismatches, [])
}

/** Bytes of the records in every topic that Tidemark itself writes events to. */
async function recordSizes({ log }: StreamContext): Promise<number[]> {
  const sizes: number[] = []
  for (const { name, partitions } of await log.listTopics()) {
    if (!/^(keyed|dead)\./.test(name)) continue
    for (let partition = 0; partition < partitions; partition++)
      for (let next = 0; ;) {
        const records = await log.read(name, partition, next, 1 << 20)
        if (records.length === 0) break
        next = records[records.length - 1].offset + 1
        sizes.push(...records.map(({ value }) => value.length))
      }
  }
  return sizes
}

async function lettersOf({ log }: StreamContext): Promise<StoredLetter[]> {
  const found: StoredLetter[] = []
  for await (const { letters } of readDeadLetters(log, 'payments')) found.push(...letters)
  return found
}

/** A log whose appends are not one transaction, and that keeps no checkpoints (as Kafka's); it is gone after a number of appends. */
function looseLog(log: Log, dies: { appends: number }): Log {
  const append: Log['append'] = async (...args) => {
    if (dies.appends-- <= 0) throw new Error('killed')
    return log.append(...args)
  }
  const appendAll: Log['appendAll'] = async (appends) => {
    const results = []
    for (const { topic, partition, values } of appends)
      if (values.length > 0) results.push(await append(topic, partition, values))
      else results.push({ baseOffset: 0, emptyFrom: 0, appendTime: 0 })
    return results
  }
  return new Proxy(log, {
    get(target, name) {
      if (name === 'append') return append
      if (name === 'appendAll') return appendAll
      if (name === 'checkpoints') return null
      const member = Reflect.get(target, name, target) as unknown
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
}

test('blocks are split below the greatest message size; killed between any two of them, each event counts once', async (context) => {
  const random = new Random(runSeed('split blocks'))
  let kills = 0
  let split = 0
  for (let round = 0; round < ROUNDS; round++) {
    const platform = await open(context, MESSAGE_BYTES)
    const events: Event[] = []
    const whole = platform.context
    for (let batch = 0; batch < 4; batch++) {
      const some = Array.from({ length: 20 + random.below(100) }, (): Event => {
        const note = random.below(4) === 0 ? null : noise(random, random.below(3000))
        return { card_id: random.pick(CARDS), shop_id: 's', amount: random.below(1000) / 8, note, at: NOW }
      })
      events.push(...some)
      await platform.produce('payments', some)
      const dies = { appends: random.below(40) }
      const killed = { ...whole, log: looseLog(whole.log, dies) }
      const role = new StreamRole(killed)
      try {
        while ((await role.runOnce()) > 0);
      } catch (error) {
        assert.match(String(error), /killed/)
        kills++
      }
    }
    platform.context = { ...whole, log: looseLog(whole.log, { appends: Infinity }) }
    await platform.settle()
    await assertTotals(platform, events)
    const sizes = await recordSizes(platform.context)
    assert.ok(Math.max(...sizes) <= MESSAGE_BYTES, `a record of ${Math.max(...sizes)} bytes`)
    split += sizes.filter((size) => size > MESSAGE_BYTES / 3).length
    await platform.close()
  }
  assert.ok(kills > 0 && split > 0, `${kills} kills, ${split} large blocks`)
})

test('an event too large for a message is a dead letter with all of its payload; once there is room, it is replayed', async (context) => {
  const random = new Random(runSeed('too large'))
  const platform = await open(context, MESSAGE_BYTES)
  // Quotes and letters beyond ASCII take more bytes in a letter than in the event.
  const note = noise(random, 30_000) + '"\u{1F600}\u0001'.repeat(9_000)
  const huge = { card_id: 'a', shop_id: 's', amount: 3, note, at: NOW }
  const before = { card_id: 'a', shop_id: 's', amount: 1, note: null, at: NOW }
  const after = { card_id: 'b', shop_id: 's', amount: 2, note: noise(random, 9_000), at: NOW }
  const sent = await platform.send('payments', [before, huge, after, '{"card_id":'])
  assert.deepEqual(sent, { accepted: 2, refused: 2, codes: { TM_EVENT_TOO_LARGE: 1, TM_EVENT_NOT_JSON: 1 } })
  await assertTotals(platform, [before, after])
  const [letter, other] = await lettersOf(platform.context)
  assert.deepEqual([letter.code, letter.sequence, other.code], ['TM_EVENT_TOO_LARGE', [0, 1], 'TM_EVENT_NOT_JSON'])
  assert.equal(letter.payload, JSON.stringify(huge))
  assert.ok(letter.records > 2)
  assert.ok(Math.max(...(await recordSizes(platform.context))) <= MESSAGE_BYTES)
  const counts = { TM_EVENT_TOO_LARGE: 1, TM_EVENT_NOT_JSON: 1 }
  assert.deepEqual((await countDeadLetters(platform.context, 'payments')).byCode, counts)
  assert.deepEqual(await replayDeadLetters(platform.context, 'payments'), { replayed: 0, refused: 2, codes: counts })

  limit(platform, 1_000_000)
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  await platform.settle()
  await assertTotals(platform, [before, huge, after])
  assert.deepEqual((await countDeadLetters(platform.context, 'payments')).byCode, { TM_EVENT_NOT_JSON: 1 })
})

test('a row of a file too large for a message is a letter too, and importing it again changes nothing', async (context) => {
  const random = new Random(runSeed('too large a row'))
  const platform = await open(context, MESSAGE_BYTES)
  const rows = [
    { card_id: 'a', shop_id: 's', amount: 1, note: 'n', at: NOW - 1 },
    { card_id: 'b', shop_id: 's', amount: 2, note: noise(random, 50_000), at: NOW - 1 },
  ]
  assert.deepEqual((await platform.import('payments', rows)).codes, { TM_EVENT_TOO_LARGE: 1 })
  limit(platform, 1_000_000)
  assert.deepEqual((await platform.import('payments', rows)).codes, { TM_EVENT_TOO_LARGE: 1 })
  await platform.settle()
  await assertTotals(platform, rows.slice(0, 1))
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  await platform.settle()
  await assertTotals(platform, rows)
})

test('a letter of several records is forgotten whole', async (context) => {
  const random = new Random(runSeed('forgotten letter'))
  const platform = await open(context, MESSAGE_BYTES)
  const huge = (card_id: string): Event => ({ card_id, shop_id: 's', amount: 3, note: noise(random, 50_000), at: NOW })
  await platform.send('payments', [huge('card-a'), huge('card-b')])
  const { context: stores } = platform
  const entity = (await stores.registry.entities()).find(({ name }) => name === 'card')
  assert.ok(entity !== undefined)
  const key = new ForgottenKey(entity, ['card-a'])
  const source = await stores.registry.source('payments')
  assert.equal(await thinDeadLetters(stores, key, source), 1)
  const letters = await lettersOf(stores)
  assert.deepEqual(
    letters.map(({ payload, records }) => [payload.length > 0, records > 1]),
    [
      [false, false],
      [true, true],
    ],
  )
  assert.equal(await thinDeadLetters(stores, key, source), 0)
})
