import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readFunctionFailures } from '../../../streams/apply/function-failures.ts'
import { Platform } from '../../support/platform.ts'

const DEFINITIONS = `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), note: t.string().nullable(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cards = featureView('cards', {
  entity: card,
  from: payments,
  where: (e) => (e.amount === 0 ? (null as unknown as boolean) : e.amount > 0),
  features: (on) => ({
    n: on.count().over('lifetime'),
    inverse: on.sum((e) => 1 / (e.amount - 1)).over('lifetime'),
    lengths: on.sum((e) => e.note!.length).over('lifetime'),
    lengths_1h: on.mean((e) => e.note!.length).over('1h'),
  }),
})
export const fraud = featureService('fraud', {
  features: [cards.all()],
  request: { divisor: t.float64() },
  derive: { share: (f) => f.cards__n! / f.divisor },
})
`

test('functions that throw or return what their type does not allow give null, and are counted by function and code, over restarts', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { partitions: 1 })
  const paid_at = platform.clock.ms
  const event = (amount: number, note: string | null) => ({ card_id: 'a', amount, note, paid_at })
  await platform.send('payments', [event(0, 'x'), event(1, 'ab'), event(2, null), event(-5, null)])
  await platform.settle()
  await platform.restart()
  await platform.send('payments', [event(3, null)])
  await platform.settle()
  const counted = (await readFunctionFailures(platform.context.metadata)).map(({ view, function: of, code, count }) => [
    view,
    of,
    code,
    count,
  ])
  assert.deepEqual(counted, [
    ['cards', 'inverse', 'TM_FUNCTION_NON_FINITE', 1],
    ['cards', 'lengths', 'TM_FUNCTION_THROW', 2],
    ['cards', 'lengths_1h', 'TM_FUNCTION_THROW', 2],
    ['cards', 'where', 'TM_FUNCTION_TYPE', 1],
  ])
  const { cells } = await platform.readOne('fraud', { card_id: 'a' }, { divisor: 0 })
  assert.deepEqual(
    [cells.cards__n.value, cells.cards__inverse.value, cells.cards__lengths.value, cells.share],
    [3, 1.5, 2, { value: null, status: 'INVALID' }],
  )
  assert.deepEqual(platform.reader.functionFailures, [
    { service: 'fraud', function: 'share', code: 'TM_FUNCTION_NON_FINITE', count: 1 },
  ])
  platform.clock.ms += 2000
  await platform.settle()
  const row = { card_id: 'a', divisor: 0, timestamp: platform.clock.ms - 1 }
  const { manifest } = await platform.export('fraud', [row, row])
  assert.deepEqual(
    manifest.functionFailures.map(({ name, function: of, code, count }) => [name, of, code, count]),
    [...counted, ['fraud', 'share', 'TM_FUNCTION_NON_FINITE', 2]],
  )
})
