import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { BothWays } from '../support/both-ways.ts'
import { Platform } from '../support/platform.ts'
import { Random, runSeed } from '../support/random.ts'

/* Values that other feature stores turned into others on the way: widened floats, maps compared as text. */

const MIDNIGHT = Date.UTC(2024, 5, 1)

async function columnTypes(path: string): Promise<Record<string, string>> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  const reader = await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${path}')`)
  const types = Object.fromEntries(reader.getRows().map((row) => [String(row[0]), String(row[1])]))
  connection.closeSync()
  instance.closeSync()
  return types
}

/** Feast mapped PostgreSQL's real to double until 0.66. */
test('float32 stays float32: in events, state, archive, served values and training files', async (context) => {
  const platform = await Platform.open(
    context,
    `import { entity, featureService, featureView, first, latest, max, min, stream, sum, t } from 'tidemark'
export const meter = entity('meter', { meter_id: t.string() })
export const readings = stream('readings', { schema: { meter_id: t.string(), heat: t.float32(), at: t.timestamp() }, eventTime: 'at' })
export const view = featureView('use', { entity: meter, from: readings, features: { newest: latest('heat'), oldest: first('heat').over('1h'),
  most: max('heat').over('1h'), least: min('heat').over('1h'), total: sum('heat').over('1h') } })
export const service = featureService('svc', { features: [view.all()] })`,
    { now: MIDNIGHT },
  )
  const both = new BothWays(platform, 'svc')
  // Of the doubles next to 0.1 and 16777217 none is a float32; 3.4028235677973366e38 rounds up to infinity and is refused.
  const accepted = await platform.send(
    'readings',
    [0.1, 16777217, 3.4028235677973366e38, 1e-46].map((heat) => ({ meter_id: 'm', heat, at: MIDNIGHT })),
  )
  assert.deepEqual([accepted.accepted, accepted.refused], [3, 1])
  const cells = await both.at(MIDNIGHT + 1, { meter_id: 'm' })
  assert.equal(cells.use__oldest.value, Math.fround(0.1))
  assert.equal(cells.use__most.value, 16777216)
  assert.equal(cells.use__least.value, 0)
  assert.equal(cells.use__newest.value, 0)
  assert.equal(cells.use__total.value, 16777216 + Math.fround(0.1))
  await both.check()
  const { path } = await platform.export('svc', [{ meter_id: 'm', timestamp: MIDNIGHT + 1 }])
  const exported = await columnTypes(path)
  for (const name of ['use__newest', 'use__oldest', 'use__most', 'use__least'])
    assert.equal(exported[name], 'FLOAT', name)
  assert.equal(exported.use__total, 'DOUBLE')
  const [file] = (await platform.context.objects.list('archive/')).filter(({ name }) => name.endsWith('.parquet'))
  assert.equal((await columnTypes(await platform.context.objects.localPath(file.name))).heat, 'FLOAT')
})

/** Chronon's consistency job compares maps as strings, so that another order of keys is a mismatch. */
test('a map has one order of keys, whatever order its events came in', async (context) => {
  const random = new Random(runSeed('map order'))
  const shops = ['z', 'a', 'ü', '', '10', '9', '\u{1f600}', '\uffee']
  const answers = new Set<string>()
  for (let round = 0; round < 4; round++) {
    const platform = await Platform.open(
      context,
      `import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', { schema: { card_id: t.string(), shop: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at' })
export const view = featureView('pay', { entity: card, from: payments, features: {
  by_shop: count().over('1h').bucketBy('shop'), spend: sum('amount').over('lifetime').bucketBy('shop', { limit: 5 }) } })
export const service = featureService('svc', { features: [view.all()] })`,
      { now: MIDNIGHT },
    )
    const both = new BothWays(platform, 'svc')
    const events = shops.flatMap((shop, i) =>
      [0.1, 1e16, -1e16].map((amount) => ({ card_id: 'c', shop, amount: amount + i, at: MIDNIGHT })),
    )
    const shuffled = random.shuffle(events)
    await platform.send('payments', shuffled.slice(0, 10))
    await platform.restart()
    await platform.send('payments', shuffled.slice(10))
    const cells = await both.at(MIDNIGHT + 1, { card_id: 'c' })
    const byShop = [...(cells.pay__by_shop.value as ReadonlyMap<string, number>)]
    const spend = [...(cells.pay__spend.value as ReadonlyMap<string, number>)]
    // UTF-8 order: U+FFEE comes before U+1F600, which in UTF-16 it does not.
    assert.deepEqual(
      byShop,
      ['', '10', '9', 'a', 'z', 'ü', '\uffee', '\u{1f600}'].map((shop) => [shop, 3]),
    )
    answers.add(JSON.stringify([byShop, spend]))
    await both.check()
  }
  assert.equal(answers.size, 1)
})
