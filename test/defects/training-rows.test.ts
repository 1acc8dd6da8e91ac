import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ServedLogger } from '../../inference/served-logger.ts'
import { buildApp } from '../../serving/build-app.ts'
import { BothWays } from '../support/both-ways.ts'
import { hasErrorCode } from '../support/folders.ts'
import { Platform, readParquet } from '../support/platform.ts'

/* Training sets of other feature stores: rows that appear, vanish or lag, files rewritten, functions called in two shapes. */

const MINUTE = 60_000
const MIDNIGHT = Date.UTC(2024, 5, 1)

const DEFINITIONS = `
import { count, entity, featureService, featureView, latest, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments, where: (e) => typeof e.amount === 'number' && !Array.isArray(e.amount),
  features: { n: count().over('1h'), total: sum((e) => e.amount).over('1h'), newest: latest('amount'), ever: count().over('lifetime') } })
export const service = featureService('svc', { features: [view.all()], request: { amount: t.float64() }, derive: {
  shape: (f) => (typeof f.amount === 'number' && (f.pay__total === null || typeof f.pay__total === 'number') && typeof f.pay__n === 'number' ? 1 : 0),
} })
`
const payment = (card: string, amount: number, at: number) => ({ card_id: card, amount, at })

/** Feast: a point-in-time join over rows that tie, without a created column, can give more rows than the spine has. */
test('as many rows as the spine has, in its order: ties in events, ties in the spine, unknown and null keys', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  await platform.send(
    'payments',
    Array.from({ length: 50 }, (_, i) => payment(`c${i % 3}`, i, MIDNIGHT)),
  )
  platform.clock.ms = MIDNIGHT + 5 * MINUTE
  await platform.settle()
  const spine = Array.from({ length: 200 }, (_, i) => ({
    card_id: i % 7 === 0 ? null : `c${i % 4}`,
    timestamp: MIDNIGHT + (i % 2),
    amount: 1,
    label: i,
  }))
  const { path, rows } = await platform.export('svc', spine)
  const read = await readParquet(path)
  assert.deepEqual(
    read.map(({ label }) => Number(label)),
    spine.map(({ label }) => label),
  )
  rows.forEach(({ values }, i) => {
    const known = i % 7 !== 0 && i % 4 !== 3 && i % 2 === 1
    assert.equal(values.pay__n, known ? [17, 17, 16][i % 4] : 0, `row ${i}`)
  })
})

/** Hopsworks: the offline store lags the online one by the schedule of a job. */
test('an export after an event is archived has it; before that a row at its time is refused, never short of it', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  await platform.send('payments', [payment('c', 1, MIDNIGHT)])
  platform.clock.ms = MIDNIGHT + 5 * MINUTE
  await platform.produce('payments', [payment('c', 2, MIDNIGHT)])
  const row = { card_id: 'c', timestamp: MIDNIGHT + 5 * MINUTE + 1, amount: 1 }
  await assert.rejects(platform.export('svc', [row]), hasErrorCode('TM_SPINE_TOO_LATE'))
  await platform.settle()
  platform.clock.ms += 2000
  await platform.settle()
  assert.equal((await platform.export('svc', [row])).rows[0].values.pay__ever, 2)
})

/** Feast on DuckDB rewrites the whole Parquet file for every append. */
test('what an append writes does not grow with history, and no archived file is touched again', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT, partitions: 1 })
  const files = async (): Promise<Map<string, { bytes: number; sha: string }>> => {
    const found = new Map<string, { bytes: number; sha: string }>()
    for (const { name } of await platform.context.objects.list('archive/')) {
      const bytes = readFileSync(await platform.context.objects.localPath(name))
      found.set(name, { bytes: bytes.length, sha: createHash('sha256').update(bytes).digest('hex') })
    }
    return found
  }
  const sent = async (count: number) => {
    platform.clock.ms += MINUTE
    const before = await files()
    await platform.send(
      'payments',
      Array.from({ length: count }, (_, i) => payment('c', i / 8, platform.clock.ms)),
    )
    const after = await files()
    for (const [name, file] of before) assert.deepEqual(after.get(name), file, `${name} was rewritten`)
    return [...after].filter(([name]) => !before.has(name)).map(([, { bytes }]) => bytes)
  }
  const [early] = await sent(10)
  await sent(30_000)
  const late = await sent(10)
  assert.equal(late.length, 1, 'one new file for the one partition')
  assert.ok(late[0] < early * 1.2, `${late[0]} bytes after 30,000 events, ${early} before`)
})

/** Hopsworks: a function gets a series offline and a scalar online, and the first prediction answers HTTP 500. */
test('user functions see one shape of argument on every path, from the first request on', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: MIDNIGHT })
  const { registry } = platform.context
  // Vectors served over HTTP are not logged here: the check below counts its own.
  const served = new ServedLogger({ log: platform.context.log, share: 0 })
  const app = await buildApp({
    registry,
    reader: platform.reader,
    served,
    clock: 'real',
    readiness: async () => ({ reasons: [], impaired: [] }),
  })
  context.after(() => served.close())
  context.after(() => app.close())
  const first = await app.inject({
    method: 'POST',
    url: '/v1/features/svc',
    payload: { entities: [{ card_id: 'c' }], request: [{ amount: 2 }] },
  })
  assert.equal(first.statusCode, 200)
  assert.deepEqual(first.json<{ rows: { values: unknown[] }[] }>().rows[0].values, [0, null, null, 0, 2, 1])
  const both = new BothWays(platform, 'svc')
  await platform.send('payments', [payment('c', 1.5, MIDNIGHT)])
  const cells = await both.at(MIDNIGHT + 1, { card_id: 'c' }, { amount: 2 })
  assert.equal(cells.shape.value, 1)
  assert.equal(cells.pay__total.value, 1.5)
  await both.check()
})
