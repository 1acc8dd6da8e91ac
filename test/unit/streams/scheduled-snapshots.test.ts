import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random, runSeed } from '../../support/random.ts'
import { TableSchedule } from '../../support/table-schedule.ts'

const DAY = 86_400_000
const BEGIN = Date.UTC(2024, 5, 1, 12)

/** `fields` beside the key, the time and the price. */
const definitions = (fields: string, files = `'data/items/*'`, extra = ''): string => `
import { approxDistinctCount, count, entity, featureService, featureView, latest, sum, table, t } from 'tidemark'
export const item = entity('item', { item_id: t.string() })
const items = table('items', {
  schema: { item_id: t.string(), at: t.timestamp(), price: t.float64().nullable()${fields} },
  eventTime: 'at',
  schedule: { cron: '0 3 * * *', contents: 'snapshot' },
  files: ${files},
})
export const seen = featureView('seen', { entity: item, from: items, features: {
  rows: count().over('lifetime'), price: latest('price'), total: sum('price').over('lifetime'),${extra}
} })
export const shop = featureService('shop', { features: [seen.all()] })
`
const ALL_TYPES = `, stock: t.int64().nullable(), small: t.int32(), share: t.float32({ nonFinite: 'null' }).nullable(), listed: t.bool(), note: t.string().nullable(),
    colour: t.enum('red', 'blue'), h: t.int32(), raw: t.bytes(), shape: t.vector(2)`

type Row = Readonly<Record<string, unknown>>

/** A row that has a few copies among any hundred. */
function randomRow(random: Random): Row {
  return {
    item_id: `i-${random.below(6)}`,
    at: new Date(BEGIN - random.pick([1, 2]) * DAY).toISOString(),
    price: random.pick([null, 0, 1.1, 0.1 + 0.2, 1e16, -3]),
    stock: random.pick([null, 0, 9_007_199_254_740_991]),
    small: random.below(2),
    share: random.pick([null, 0.5]),
    listed: random.below(2) === 0,
    note: random.pick([null, '', 'a"b', 'ß\n']),
    colour: random.pick(['red', 'blue']),
    h: random.below(2),
    raw: random.pick(['', 'AAH/', 'XA==']),
    shape: random.pick([
      [1, 2],
      [1.5, -0.25],
    ]),
  }
}

const jsonl = (rows: readonly Row[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join('')

/** How often each row stands in `rows` beyond the copies that are in `before`: what a snapshot brings, by its slowest definition. */
function newRows(before: readonly Row[], rows: readonly Row[]): Row[] {
  const left = before.map((row) => JSON.stringify(row))
  return rows.filter((row) => {
    const at = left.indexOf(JSON.stringify(row))
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}

async function rowsOf(schedule: TableSchedule): Promise<unknown[]> {
  await schedule.platform.settle()
  const ids = Array.from({ length: 6 }, (_, i) => `i-${i}`)
  const vectors = await Promise.all(ids.map(async (item_id) => schedule.platform.readOne('shop', { item_id })))
  return vectors.map(({ cells }) => [Number(cells.seen__rows.value), cells.seen__total.value])
}

function expectedRows(taken: readonly Row[]): unknown[] {
  return Array.from({ length: 6 }, (_, i) => {
    const prices = taken.filter(({ item_id }) => item_id === `i-${i}`).map(({ price }) => price as number | null)
    const some = prices.filter((price) => price !== null)
    // Sums of these few values are exact in any order.
    return [prices.length, some.length === 0 ? null : some.reduce((sum, price) => sum + price, 0)]
  })
}

test('a snapshot brings the rows that the one before had not, ended anywhere in between', async (context) => {
  const random = new Random(runSeed('snapshots'))
  const schedule = await TableSchedule.open(context, definitions(ALL_TYPES))
  const { platform, runs } = schedule
  const taken: Row[] = []
  let before: Row[] = []
  let interrupted = 0
  for (let day = 1; day <= 8; day++) {
    const rows = random.shuffle([
      ...before.filter(() => random.below(4) > 0),
      ...Array.from({ length: random.below(12) }, () => randomRow(random)),
    ])
    const isWhole = (row: Row): Row => ({ ...row, price: wholePrice(row.price) })
    const snapshot = rows.map(isWhole)
    schedule.write('data/items/now.jsonl', jsonl(snapshot), 60 - day)
    taken.push(...newRows(before, snapshot))
    before = snapshot
    platform.clock.ms = BEGIN + day * DAY
    if (random.below(2) === 0) {
      // Ended when it has compared, or before; then the process is another one, and the file perhaps another snapshot.
      const stop = new AbortController()
      const at = 1 + random.below(2)
      let asked = 0
      schedule.onSettle = () => {
        if (++asked === at) stop.abort()
      }
      assert.equal(await schedule.look(stop.signal), 0)
      schedule.onSettle = () => {}
      interrupted++
      if (random.below(2) === 0) await schedule.restart()
      // Only what was compared is gone on with: a snapshot that nobody had compared is not seen when it is overwritten.
      if (at === 2) {
        const next = before.filter(() => random.below(3) > 0)
        schedule.write('data/items/now.jsonl', jsonl(next), 60 - day - 0.5)
        taken.push(...newRows(before, next))
        before = next
      }
    }
    assert.equal(await schedule.look(), 1)
    assert.deepEqual(runs.at(-1)?.[1].problems, [])
    assert.deepEqual(await rowsOf(schedule), expectedRows(taken), `day ${day}`)
  }
  context.diagnostic(`${interrupted} of 8 runs were interrupted`)
  assert.equal((await platform.context.objects.list('snapshots/')).length, 1, 'what is compared with, and nothing else')
})

/** One of few whole prices, so that sums are exact whatever their order. */
function wholePrice(price: unknown): number | null {
  return price === null ? null : Math.trunc((price as number) % 1000)
}

test('the same change twice counts twice; copies count; rows that vanish are told', async (context) => {
  const schedule = await TableSchedule.open(context, definitions(''))
  const { platform, runs } = schedule
  const row = (price: number): string => `i-0,2024-05-01T00:00:00Z,${price}\n`
  const header = 'item_id,at,price\n'
  const steps: [text: string, accepted: number, vanished: number][] = [
    [row(1), 1, 0],
    [row(2), 1, 1],
    [row(1), 1, 1],
    [row(2), 1, 1],
    [row(2) + row(2) + row(5), 2, 0],
    ['', 0, 3],
    [row(2), 1, 0],
  ]
  for (const [day, [text, accepted, vanished]] of steps.entries()) {
    schedule.write('data/items/now.csv', header + text, 60 - day)
    platform.clock.ms = BEGIN + (day + 1) * DAY
    assert.equal(await schedule.look(), 1)
    const [, run] = runs[day]
    assert.deepEqual([run.accepted, run.vanished, run.problems], [accepted, vanished, []], `day ${day + 1}`)
  }
  assert.deepEqual((await rowsOf(schedule))[0], [7, 15])
})

test('dated snapshots go one after the other, up to the first that cannot be read; a field more makes no row new', async (context) => {
  const schedule = await TableSchedule.open(context, definitions(''))
  const { platform, runs } = schedule
  schedule.write('data/items/2024-06-01.csv', 'item_id,at,price\ni-0,2024-05-01,1\ni-1,2024-05-01,1\n', 9)
  schedule.write('data/items/2024-06-02.csv', 'item_id,at,price\ni-0,2024-05-01,dear\n', 8)
  schedule.write('data/items/2024-06-03.csv', 'item_id,at,price\ni-0,2024-05-01,3\ni-1,2024-05-01,1\n', 7)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  const [, first] = runs[0]
  assert.deepEqual(first.files, ['data/items/2024-06-01.csv'])
  assert.deepEqual(
    first.problems.map(({ file, code }) => [file, code]),
    [['data/items/2024-06-02.csv', 'TM_COLUMN_TYPE']],
  )
  schedule.write('data/items/2024-06-02.csv', 'item_id,at,price\ni-0,2024-05-01,2\ni-1,2024-05-01,1\n', 6)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 1)
  assert.deepEqual(runs[1][1].files, ['data/items/2024-06-02.csv', 'data/items/2024-06-03.csv'])
  assert.deepEqual((await rowsOf(schedule)).slice(0, 2), [
    [3, 6],
    [1, 1],
  ])
  await platform.apply(definitions(`, note: t.string().nullable()`))
  schedule.write('data/items/2024-06-04.csv', 'item_id,at,price,note\ni-0,2024-05-01,3,x\ni-1,2024-05-01,4,y\n', 5)
  platform.clock.ms += DAY
  assert.equal(await schedule.look(), 0, 'the history is being filled')
  await platform.settle()
  assert.equal(await schedule.look(), 1)
  assert.deepEqual([runs[2][1].accepted, runs[2][1].vanished, runs[2][1].problems], [1, 1, []])
  // A field less: rows are compared by it once more, as the file still has it.
  await platform.apply(definitions(''))
  schedule.write('data/items/2024-06-05.csv', 'item_id,at,price,note\ni-0,2024-05-01,3,x\ni-1,2024-05-01,4,z\n', 4)
  platform.clock.ms += DAY
  await platform.settle()
  assert.equal(await schedule.look(), 1)
  assert.deepEqual([runs[3][1].accepted, runs[3][1].problems], [1, []])
})
