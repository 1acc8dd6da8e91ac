import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { sourceLogName } from '../../../features/plan/source-plan.ts'
import { countDeadLetters } from '../../../streams/dead-letters/dead-letter-counts.ts'
import { dropDeadLetters, replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import { Platform } from '../../support/platform.ts'

const START = Date.UTC(2024, 5, 1)
const MINUTE = 60_000

function definitions(columns: string, features: string): string {
  return `import { count, entity, featureService, featureView, last, stream, sum, t } from 'tidemark'
const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', { schema: { ${columns} }, eventTime: 'at' })
export const spend = featureView('spend', { entity: card, from: payments, features: { n: count().over('24h'), ${features} } })
export const svc = featureService('svc', { features: [spend.all()] })
`
}

const event = (clock: { ms: number }, amount: unknown, more: object = {}): Record<string, unknown> => ({
  card_id: 'c',
  amount,
  at: clock.ms,
  ...more,
})

test('another type of a column: the old version serves until the new one has read the topic from its beginning; both verify; a change back finds its history', async (context) => {
  const asInt = definitions(
    'card_id: t.string(), amount: t.int32(), at: t.timestamp()',
    `total: sum('amount').over('24h')`,
  )
  const platform = await Platform.open(context, asInt, { now: START })
  const { clock } = platform
  for (const amount of [1, 2, 3.5]) {
    clock.ms += MINUTE
    await platform.send('payments', [event(clock, amount)])
  }
  const before = await platform.readOne('svc', { card_id: 'c' })
  assert.equal(before.cells.spend__total.value, 3n)

  clock.ms += MINUTE
  const asFloat = asInt.replace('t.int32()', 't.float64()')
  platform.define(asFloat)
  const planned = await platform.context.registry.plan(platform.directory)
  const change = planned.changes.find(({ kind }) => kind === 'source')
  assert.ok(change?.details.some(({ part, to }) => part === 'version' && to === '2'))
  await platform.apply()
  assert.equal(
    (await platform.readOne('svc', { card_id: 'c' })).vector.parts.layout.service.version,
    before.vector.parts.layout.service.version,
  )
  clock.ms += MINUTE
  await platform.send('payments', [event(clock, 10)])
  const after = await platform.readOne('svc', { card_id: 'c' })
  assert.notEqual(after.vector.parts.layout.service.version, before.vector.parts.layout.service.version)
  assert.equal(after.cells.spend__total.value, 16.5)
  assert.equal(after.cells.spend__n.value, 4)

  clock.ms += MINUTE
  await platform.settle()
  const spine = [2.5, 3.5, 4.5, 5.5].map((minutes) => ({ card_id: 'c', timestamp: START + minutes * MINUTE }))
  const { rows } = await platform.export('svc', spine)
  assert.deepEqual(
    rows.map(({ values }) => values.spend__total),
    [3, 6.5, 6.5, 16.5],
    'history arrived when it was sent, not when it was read again',
  )

  await platform.apply(asInt)
  clock.ms += MINUTE
  await platform.send('payments', [event(clock, 100)])
  const back = await platform.readOne('svc', { card_id: 'c' })
  assert.equal(back.vector.parts.layout.service.version, before.vector.parts.layout.service.version)
  assert.equal(back.cells.spend__total.value, 113n)
  const { rows: verified, mismatches } = await platform.verify()
  assert.equal(verified, 4)
  assert.deepEqual(mismatches, [])
})

test('columns that may be null come and others go: all history is taken over, imports and arrivals too, and pending letters can be replayed', async (context) => {
  const narrow = definitions(
    'card_id: t.string(), amount: t.float64(), gone: t.int32().nullable(), at: t.timestamp()',
    `total: sum('amount').over('24h')`,
  )
  const wide = definitions(
    'card_id: t.string(), amount: t.float64(), note: t.string().nullable(), at: t.timestamp()',
    `total: sum('amount').over('24h'), note: last('note').over('24h')`,
  )
  const early = await Platform.open(context, wide, { now: START })
  const late = await Platform.open(context, narrow, { now: START })
  const both = [early, late]
  const tick = (): void => both.forEach(({ clock }) => (clock.ms += MINUTE))
  const send = async (events: Record<string, unknown>[]): Promise<void> => {
    for (const platform of both) await platform.send('payments', events)
  }
  const file = early.file(
    '.jsonl',
    [7, null]
      .map((amount) =>
        JSON.stringify({ card_id: 'c', amount, gone: null, note: null, more: null, at: START - 3 * MINUTE }),
      )
      .join('\n'),
  )
  for (const amount of [1, null, 3]) {
    tick()
    await send([event(early.clock, amount, { gone: 1 })])
  }
  tick()
  for (const platform of both) await platform.importFile('payments', file, 'at')
  tick()
  await late.apply(wide)
  const source = await late.context.registry.source('payments')
  assert.equal(sourceLogName(source), 'payments.2')
  await send([event(early.clock, 20, { note: 'new' })])
  for (const { context: own } of both) {
    const current = sourceLogName(await own.registry.source('payments'))
    assert.deepEqual((await countDeadLetters(own, current)).byCode, { TM_EVENT_NULL: 2 })
  }
  const nullable = wide.replace('amount: t.float64()', 'amount: t.float64().nullable()')
  for (const platform of both) {
    await platform.apply(nullable)
    assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 2)
    await platform.importFile('payments', file, 'at')
    await platform.settle()
  }
  tick()
  for (const platform of both) await platform.settle()
  const [first, second] = await Promise.all(both.map((platform) => platform.readOne('svc', { card_id: 'c' })))
  assert.deepEqual(second.cells, first.cells)
  assert.equal(first.cells.spend__n.value, 6)
  assert.equal(first.cells.spend__total.value, 31)
  const spine = Array.from({ length: 12 }, (_, i) => ({ card_id: 'c', timestamp: START + (i - 5) * MINUTE }))
  const files = await Promise.all(both.map((platform) => platform.export('svc', spine)))
  assert.ok(readFileSync(files[0].path).equals(readFileSync(files[1].path)))

  // A row that was refused and replayed in an earlier version comes in no second time with its file.
  for (const platform of both) {
    await platform.apply(nullable.replace('at: t.timestamp()', 'more: t.string().nullable(), at: t.timestamp()'))
    await platform.settle()
    await platform.importFile('payments', file, 'at')
    await platform.settle()
    assert.equal((await platform.readOne('svc', { card_id: 'c' })).cells.spend__n.value, 6)
  }
  assert.deepEqual((await late.verify()).mismatches, [])
})

for (const [first, then] of [
  ['t.float64()', 't.float64().nullable()'],
  ['t.float64().nullable()', 't.float64()'],
])
  test(`what is an event and what a letter does not depend on when a later version reads it again: ${first}, then ${then}`, async (context) => {
    const [narrow, wide, changed] = [
      [first, ''],
      [first, 'note: t.string().nullable(), '],
      [then, 'note: t.string().nullable(), '],
    ].map(([amount, note]) =>
      definitions(
        `card_id: t.string(), amount: ${amount}, ${note}at: t.timestamp()`,
        `total: sum('amount').over('24h')`,
      ),
    )
    const early = await Platform.open(context, wide, { now: START })
    const late = await Platform.open(context, narrow, { now: START })
    const both = [early, late]
    const send = async (amount: unknown): Promise<void> => {
      for (const platform of both) {
        platform.clock.ms += MINUTE
        await platform.produce('payments', [event(platform.clock, amount)])
        await platform.ingest()
      }
    }
    await send(1)
    await late.apply(wide)
    // Ingest alone: the later version is not filled, the earlier one goes on.
    await send(null)
    await send(2)
    for (const platform of both) await platform.apply(changed)
    await send(null)
    await send(4)
    const pending = async ({ context: own }: Platform): Promise<unknown> =>
      (await countDeadLetters(own, sourceLogName(await own.registry.source('payments')))).byCode
    for (const platform of both) {
      await platform.settle()
      assert.deepEqual(await pending(platform), { TM_EVENT_NULL: 1 })
      platform.clock.ms += MINUTE
      await platform.apply(changed.replace(/t\.float64\(\)(\.nullable\(\))?/, 't.float64().nullable()'))
      await replayDeadLetters(platform.context, 'payments')
      assert.deepEqual(await pending(platform), {})
      platform.clock.ms += MINUTE
      await platform.settle()
    }
    const spine = Array.from({ length: 7 }, (_, i) => ({ card_id: 'c', timestamp: START + i * MINUTE + 1 }))
    const files = await Promise.all(both.map((platform) => platform.export('svc', spine)))
    assert.ok(readFileSync(files[1].path).equals(readFileSync(files[0].path)))
    assert.equal(files[0].rows.at(-1)?.values.spend__n, 5)
    assert.deepEqual((await late.verify()).mismatches, [])
  })

/** The event stays a letter in both versions that read it, or is dealt with in the later one; then another version takes over, or the earlier one does again. */
for (const [done, last] of [
  ['pending', 'further'],
  ['pending', 'earlier'],
  ['replayed', 'earlier'],
  ['dropped', 'earlier'],
  ['dropped', 'further'],
] as const)
  test(`an event that two versions have refused is one letter: ${done}, then the ${last} version`, async (context) => {
    const layout = (columns: string, isNullable = false): string =>
      definitions(
        `card_id: t.string(), amount: t.float64()${isNullable ? '.nullable()' : ''}, ${columns}at: t.timestamp()`,
        `total: sum('amount').over('24h')`,
      )
    const [earlier, later, further] = [
      '',
      'b: t.bool().nullable(), ',
      'b: t.bool().nullable(), c: t.bool().nullable(), ',
    ]
    const platform = await Platform.open(context, layout(earlier), { now: START })
    const { clock } = platform
    const source = async (): Promise<string> => sourceLogName(await platform.context.registry.source('payments'))
    const pending = async (): Promise<number> => (await countDeadLetters(platform.context, await source())).pending
    const apply = async (definitions: string): Promise<void> => {
      clock.ms += MINUTE
      await platform.apply(definitions)
      await platform.settle()
    }
    await platform.send('payments', [event(clock, 1)])
    await platform.apply(layout(later))
    clock.ms += MINUTE
    await platform.produce('payments', [event(clock, null)])
    await platform.ingest()
    await platform.settle()
    assert.equal(await pending(), 1)
    if (done === 'dropped') assert.equal(await dropDeadLetters(platform.context, await source()), 1)
    if (done === 'replayed') {
      await apply(layout(later, true))
      assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
      await platform.settle()
    }
    await apply(layout(last === 'earlier' ? earlier : further, done === 'replayed'))
    assert.equal(await pending(), done === 'pending' ? 1 : 0)
    await apply(layout(last === 'earlier' ? earlier : further, true))
    await replayDeadLetters(platform.context, 'payments')
    await platform.settle()
    const { cells } = await platform.readOne('svc', { card_id: 'c' })
    assert.equal(cells.spend__n.value, done === 'dropped' ? 1 : 2)
    assert.equal(await pending(), 0)
  })
