import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { TableSchedule } from '../../support/table-schedule.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const definitions = (
  options = '',
  schedule = "'0 3 * * *'",
) => `import { entity, featureService, featureView, latest, count, table, t } from 'tidemark'
export const item = entity('item', { item_id: t.string() })
const prices = table('prices', {
  schema: { item_id: t.string(), price: t.float64(), at: t.timestamp() },
  eventTime: 'at',
  schedule: ${schedule},${options}
})
export const priced = featureView('priced', { entity: item, from: prices, features: { price: latest('price'), n: count().over('lifetime') } })
export const shop = featureService('shop', { features: [priced.all()] })
`

function open(context: TestContext, options?: string, schedule?: string): Promise<TableSchedule> {
  return TableSchedule.open(context, definitions(options, schedule))
}

/** A file of prices. */
function prices(rows: readonly (readonly [string, number | string])[]): string {
  const day = `2024-05-0${(rows.length % 9) + 1}T00:00:00Z`
  return `item_id,price,at\n${rows.map(([id, price]) => `${id},${price},${day}\n`).join('')}`
}

async function countOf({ platform }: TableSchedule, item_id: string): Promise<unknown> {
  await platform.settle()
  return (await platform.readOne('shop', { item_id })).cells.priced__n.value
}

test('a table is imported when its schedule says so: new files once each, in order, over restarts', async (context) => {
  const schedule = await open(context)
  const { platform, runs } = schedule
  schedule.write('data/prices/b.csv', prices([['x', 2]]))
  schedule.write(
    'data/prices/a.csv',
    prices([
      ['x', 1],
      ['y', 5],
    ]),
  )
  schedule.write('data/prices/.hidden.csv', prices([['x', 9]]))
  platform.clock.ms = Date.UTC(2024, 5, 2, 3) - 1
  assert.equal(await schedule.look(), 0)
  platform.clock.ms++
  assert.equal(await schedule.look(), 1)
  assert.equal(await schedule.look(), 0)
  assert.deepEqual(
    runs.map(([table, { files, accepted, scheduledFor }]) => [table, files, accepted, scheduledFor]),
    [['prices', ['data/prices/a.csv', 'data/prices/b.csv'], 3, Date.UTC(2024, 5, 2, 3)]],
  )
  assert.equal(await countOf(schedule, 'x'), 2)
  await schedule.restart()
  schedule.write('data/prices/c.csv', prices([['x', 3]]))
  // Three days pass while nobody runs: one run makes up for them.
  platform.clock.ms += 3 * DAY + HOUR
  assert.equal(await schedule.look(), 1)
  assert.equal(await schedule.look(), 0)
  assert.deepEqual([runs[1][1].files, runs[1][1].scheduledFor], [['data/prices/c.csv'], Date.UTC(2024, 5, 5, 3)])
  assert.equal(await countOf(schedule, 'x'), 3)
  const report = await schedule.report()
  assert.deepEqual([report.source, report.next, report.last?.accepted], ['prices', Date.UTC(2024, 5, 6, 3), 1])
})

test('what cannot be taken in is told with a code and keeps nothing else out; a changed file is not taken twice', async (context) => {
  const schedule = await open(context, `\n  files: ['in/*.csv', 'more/**/*.jsonl'],`)
  const { platform, runs } = schedule
  schedule.write(
    'in/a.csv',
    prices([
      ['x', 1],
      ['x', 'dear'],
    ]),
  )
  schedule.write('in/b.csv', prices([['x', 2]]))
  schedule.write('in/readme.txt', prices([['x', 2]]))
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, first] = runs[0]
  assert.deepEqual(
    [first.files, first.accepted, first.problems.map(({ file, code }) => [file, code])],
    [['in/b.csv'], 1, [['in/a.csv', 'TM_COLUMN_TYPE']]],
  )
  schedule.write(
    'in/a.csv',
    prices([
      ['x', 1],
      ['x', 7],
    ]),
  )
  schedule.write(
    'in/b.csv',
    prices([
      ['x', 2],
      ['x', 4],
      ['x', 4],
    ]),
  )
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, second] = runs[1]
  assert.deepEqual(
    [second.files, second.accepted, second.problems.map(({ file, code }) => [file, code])],
    [['in/a.csv'], 2, [['in/b.csv', 'TM_FILE_CHANGED']]],
  )
  assert.equal(await countOf(schedule, 'x'), 3)
})

test('a new schedule is told by plan and changes no version', async (context) => {
  const { platform } = await open(context)
  platform.define(definitions(`\n  files: 'in/*.csv',`))
  const { changes, catalogue } = await platform.context.registry.plan(platform.directory)
  assert.deepEqual(changes, [])
  assert.deepEqual(catalogue, [
    {
      kind: 'source',
      name: 'prices',
      field: 'schedule',
      from: '0 3 * * * from data/prices/*',
      to: '0 3 * * * from in/*.csv',
    },
  ])
})

test('a schedule goes by the clocks of its zone; a time that they skip comes when they go on', async (context) => {
  const schedule = await open(context, '', `{ cron: '30 2 * * *', timeZone: 'Europe/Berlin' }`)
  const { platform, runs } = schedule
  platform.clock.ms = Date.UTC(2024, 5, 2, 0, 30) - 1
  assert.equal(await schedule.look(), 0)
  platform.clock.ms++
  assert.equal(await schedule.look(), 1)
  assert.equal(runs[0][1].scheduledFor, Date.UTC(2024, 5, 2, 0, 30))
  assert.equal((await schedule.report()).next, Date.UTC(2024, 5, 3, 0, 30))
  platform.clock.ms = Date.UTC(2025, 2, 30, 12)
  assert.equal(await schedule.look(), 1)
  assert.equal(runs[1][1].scheduledFor, Date.UTC(2025, 2, 30, 1), 'at 03:00, as there is no 02:30')
})

test('missed, refused and late times are told, each once, and status says since when', async (context) => {
  const schedule = await open(context, '', `{ cron: '0 * * * *', deadline: '30min' }`)
  const { platform, events } = schedule
  const { clock } = platform
  const noon = Date.UTC(2024, 5, 1, 12)
  clock.ms = noon + HOUR
  assert.equal(await schedule.look(), 1)
  assert.deepEqual(events, [])
  // Nothing runs for three hours and forty minutes: 14:00 and 15:00 are missed, 16:00 is made up for, late.
  clock.ms = noon + 4 * HOUR + 40 * 60_000
  assert.equal((await schedule.report()).lateSince, noon + 2 * HOUR + 30 * 60_000)
  assert.equal(await schedule.look(), 1)
  assert.deepEqual(events, [
    { kind: 'missed', scheduledFor: noon + 3 * HOUR, times: 2, at: clock.ms },
    { kind: 'late', scheduledFor: noon + 4 * HOUR, times: 1, at: clock.ms },
  ])
  assert.equal((await schedule.report()).lateSince, null)
  // A run that takes until after the next time, which is refused.
  clock.ms = noon + 5 * HOUR
  schedule.onFind = () => (clock.ms = noon + 6 * HOUR + 1)
  assert.equal(await schedule.look(), 1)
  assert.deepEqual(events.slice(2), [
    { kind: 'late', scheduledFor: noon + 5 * HOUR, times: 1, at: clock.ms },
    { kind: 'overlapped', scheduledFor: noon + 6 * HOUR, times: 1, at: clock.ms },
  ])
  schedule.onFind = () => {}
  assert.equal(await schedule.look(), 0)
  const report = await schedule.report()
  assert.equal(report.next, noon + 7 * HOUR)
  assert.deepEqual(
    report.events.map(({ kind }) => kind),
    ['missed', 'late', 'late', 'overlapped'],
  )
})
