import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../stores/log/log.ts'
import { countDeadLetters } from '../../../streams/dead-letters/dead-letter-counts.ts'
import { LetterOutcomes } from '../../../streams/dead-letters/dead-letter-outcomes.ts'
import { readDeadLetters } from '../../../streams/dead-letters/dead-letters.ts'
import type { StoredLetter } from '../../../streams/dead-letters/dead-letters.ts'
import { dropDeadLetters, replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { hasErrorCode } from '../../support/folders.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const NOW = Date.UTC(2024, 5, 1)
const SECOND = 1000

/** Events without a note or an extra field are refused until the schema lets them in. */
const definitions = ({ note = '', extra = '' } = {}): string => `
import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), note: t.string()${note}, extra: t.string()${extra}, at: t.timestamp() },
  eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments,
  features: { n: count().over('lifetime'), total: sum('amount').over('lifetime') } })
export const service = featureService('svc', { features: [view.all()] })
`
const NOTE = definitions({ note: '.nullable()' })
const BOTH = definitions({ note: '.nullable()', extra: '.nullable()' })
const CARDS = ['a', 'b', 'c']

/** Each event has its own power of two: the sum over all cards says which events count, and how often. */
const event = (number: number, lacks: readonly string[] = []) => ({
  card_id: CARDS[number % CARDS.length],
  amount: lacks.includes('amount') ? 'much' : 2 ** number,
  note: lacks.includes('note') ? null : 'n',
  extra: lacks.includes('extra') ? null : 'e',
  at: NOW,
})

async function counted(platform: Platform): Promise<number> {
  await platform.settle()
  let total = 0
  for (const card_id of CARDS) total += Number((await platform.readOne('svc', { card_id })).cells.pay__total.value)
  return total
}

const bits = (...numbers: number[]): number => numbers.reduce((sum, number) => sum + 2 ** number, 0)

async function pendingLetters({ log }: Pick<StreamContext, 'log'>): Promise<StoredLetter[]> {
  const outcomes = await LetterOutcomes.read(log, 'payments')
  const found: StoredLetter[] = []
  for await (const { letters } of readDeadLetters(log, 'payments'))
    found.push(...letters.filter(({ offset }) => outcomes.of(offset) === null))
  return found
}

test('a replayed letter counts once, from the time of its replay; one that fails still stays', async (context) => {
  const platform = await Platform.open(context, definitions(), { now: NOW })
  const sent = await platform.send('payments', [event(0), event(1, ['note']), event(2, ['extra']), event(3), 'no JSON'])
  assert.deepEqual(sent, { accepted: 2, refused: 3, codes: { TM_EVENT_NULL: 2, TM_EVENT_NOT_JSON: 1 } })
  assert.equal(await counted(platform), bits(0, 3))
  assert.deepEqual((await replayDeadLetters(platform.context, 'payments')).replayed, 0)

  await platform.apply(NOTE)
  platform.clock.ms = NOW + 10 * SECOND
  const first = await replayDeadLetters(platform.context, 'payments')
  assert.deepEqual(first, { replayed: 1, refused: 2, codes: { TM_EVENT_NULL: 1, TM_EVENT_NOT_JSON: 1 } })
  assert.equal(await counted(platform), bits(0, 1, 3))
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 0)
  assert.equal(await counted(platform), bits(0, 1, 3))

  // An earlier letter than the one replayed before.
  await platform.restart()
  await platform.apply(BOTH)
  platform.clock.ms = NOW + 20 * SECOND
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  assert.equal(await counted(platform), bits(0, 1, 2, 3))
  platform.clock.ms = NOW + 30 * SECOND
  await platform.settle()

  const at = (seconds: number) => ({ card_id: 'b', timestamp: NOW + seconds * SECOND })
  const { rows } = await platform.export('svc', [at(10), at(11), at(21)])
  assert.deepEqual(
    rows.map(({ values }) => values.pay__n),
    [0, 1, 1],
    'the letter of card b arrives when it is replayed, 10 s after it was sent',
  )
  assert.deepEqual((await platform.verify()).mismatches, [])
  const counts = await countDeadLetters(platform.context, 'payments')
  assert.deepEqual(counts, { pending: 1, replayed: 2, dropped: 0, byCode: { TM_EVENT_NOT_JSON: 1 } })
})

test('a code and a limit choose letters; a dropped letter never comes back', async (context) => {
  const platform = await Platform.open(context, definitions(), { now: NOW })
  await platform.send('payments', [event(0, ['note']), event(1, ['amount']), event(2, ['note']), event(3, ['note'])])
  assert.equal(await dropDeadLetters(platform.context, 'payments', { code: 'TM_EVENT_NULL', limit: 1 }), 1)
  await platform.apply(NOTE)
  assert.equal((await replayDeadLetters(platform.context, 'payments', { code: 'TM_EVENT_TYPE' })).replayed, 0)
  assert.equal((await replayDeadLetters(platform.context, 'payments', { limit: 1 })).replayed, 1)
  assert.equal(await counted(platform), bits(2))
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  assert.equal(await counted(platform), bits(2, 3))
  assert.deepEqual(await countDeadLetters(platform.context, 'payments'), {
    pending: 1,
    replayed: 2,
    dropped: 1,
    byCode: { TM_EVENT_TYPE: 1 },
  })
})

test('an imported row that is refused is kept whole and can be replayed; importing again adds no letter', async (context) => {
  const platform = await Platform.open(context, definitions(), { now: NOW + SECOND })
  const rows = [event(0), event(1, ['note'])]
  assert.deepEqual((await platform.import('payments', rows)).codes, { TM_EVENT_NULL: 1 })
  assert.deepEqual((await platform.import('payments', rows)).codes, { TM_EVENT_NULL: 1 })
  const [letter, ...others] = await pendingLetters(platform.context)
  assert.deepEqual(others, [])
  assert.deepEqual(JSON.parse(letter.payload), event(1, ['note']))
  await platform.apply(NOTE)
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  await platform.import('payments', rows)
  assert.equal(await counted(platform), bits(0, 1))
})

test('letters that ingest appended twice, killed before its checkpoint, are one letter', async (context) => {
  const platform = await Platform.open(context, definitions(), { now: NOW })
  await platform.produce('payments', [event(0, ['note']), event(1), event(2, ['note'])])
  const { metadata, log } = platform.context
  // As over a log whose transactions hold no checkpoints.
  Object.defineProperty(log, 'checkpoints', { value: null })
  const write = metadata.writeProgress.bind(metadata)
  metadata.writeProgress = () => Promise.reject(new Error('killed'))
  await assert.rejects(platform.settle(), /killed/)
  metadata.writeProgress = write
  await platform.settle()
  assert.equal((await pendingLetters(platform.context)).length, 2)
  assert.equal((await countDeadLetters(platform.context, 'payments')).pending, 2)
  await platform.apply(NOTE)
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 2)
  assert.equal(await counted(platform), bits(0, 1, 2))
})

/** A process that is killed just before or just after its appends at random moments. */
function killable({ log, ...context }: StreamContext, random: Random): StreamContext {
  const appendAll: Log['appendAll'] = async (...call) => {
    if (random.below(4) === 0) throw new Error('killed before')
    const results = await log.appendAll(...call)
    if (random.below(4) === 0) throw new Error('killed after')
    return results
  }
  const wrapped = new Proxy(log, {
    get: (target, name) => {
      const member = name === 'appendAll' ? appendAll : (Reflect.get(target, name) as unknown)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  return { ...context, log: wrapped }
}

test('replays and drops at once, by two processes that are killed at random, lose and repeat nothing', async (context) => {
  const random = new Random(runSeed('dead letters'))
  for (let round = 0; round < 5; round++) {
    const platform = await Platform.open(context, definitions(), { now: NOW })
    const other = await platform.another()
    let number = 0
    const good: number[] = []
    for (const [schema, ...missing] of [
      [definitions()],
      [NOTE, 'note'],
      [BOTH, 'note', 'extra'],
      [BOTH, 'note', 'extra'],
    ]) {
      await platform.apply(schema)
      const events = Array.from({ length: random.below(14) }, () => {
        const lacks = random.pick([[], ['note'], ['extra'], ['note', 'extra'], ['amount']])
        if (lacks.every((field) => missing.includes(field))) good.push(number)
        return event(number++, lacks)
      })
      await platform.send('payments', events)
      const runs = Array.from({ length: 6 }, (_, i) => {
        const process = killable(i % 2 === 0 ? platform.context : other.context, random)
        const limit = random.pick([undefined, 1, 3])
        return random.below(4) === 0
          ? dropDeadLetters(process, 'payments', { limit: 1, code: 'TM_EVENT_NULL' })
          : replayDeadLetters(process, 'payments', { limit })
      })
      for (const { status, reason } of (await Promise.allSettled(runs)) as PromiseRejectedResult[])
        if (status === 'rejected') assert.match(String(reason), /killed/)
    }
    await replayDeadLetters(platform.context, 'payments')
    const left = await pendingLetters(platform.context)
    const counts = await countDeadLetters(platform.context, 'payments')
    assert.equal(counts.pending, left.length)
    assert.ok(left.every(({ payload }) => payload.includes('much')))
    const total = await counted(platform)
    const seen = Array.from({ length: number }, (_, n) => Math.floor(total / 2 ** n) % 2)
    assert.equal(seen.filter((bit) => bit === 1).length, good.length + counts.replayed, 'each counts exactly once')
    assert.equal(number, good.length + counts.replayed + counts.dropped + counts.pending)
    for (const n of good) assert.equal(seen[n], 1)
    await other.close()
  }
})

test('a source that no view reads refuses a replay', async (context) => {
  const platform = await Platform.open(
    context,
    `import { stream, t } from 'tidemark'
     export const alone = stream('alone', { schema: { at: t.timestamp() }, eventTime: 'at' })`,
    { now: NOW },
  )
  await assert.rejects(replayDeadLetters(platform.context, 'alone'), hasErrorCode('TM_SOURCE_UNUSED'))
})
