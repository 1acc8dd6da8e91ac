import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { exportTrainingSet } from '../../../offline/export.ts'
import { Platform } from '../../support/platform.ts'

const START = Date.UTC(2024, 0, 1)
const DEFINITIONS = `import { count, entity, featureService, featureView, stream, t } from 'tidemark'
export const shop = entity('shop', { zip: t.string() })
export const sales = stream('sales', { schema: { zip: t.string(), sold_at: t.timestamp() }, eventTime: 'sold_at' })
export const sold = featureView('sold', { entity: shop, from: sales, features: { n: count().over('1h') } })
export const training = featureService('training', { features: [sold.all()] })
`
const HEADER = 'zip,timestamp,price,code,day,label,note,flag,long,"odd, name"'
/** Each as DuckDB writes a cell: quoted only where it must be. */
const LINES = [
  '01234,2024-01-01T00:30:00Z,1.10,007,2024-01-01,1,plain,true,123456789012345678901,a',
  '01234,2024-01-01 00:30:00+00:00,2.00,010,2024-02-30,0,"a, ""quoted"" cell",false,1, spaced ',
  '99999,1704069000000,1e3,8,2024-3-1,1,ünïcödé,TRUE,2,',
  '00001,2024-01-01T00:30:00.000Z,-0,0,not a day,0,"two\nlines",f,3,NULL',
  '7,2024-01-01T00:30:00Z,,,,,,,,',
]

async function shops(context: Parameters<typeof Platform.open>[0]): Promise<{ platform: Platform; spine: string }> {
  const platform = await Platform.open(context, DEFINITIONS, { now: START + 100 * 3_600_000 })
  await platform.import(
    'sales',
    [
      { zip: '01234', sold_at: START },
      { zip: '7', sold_at: START + 1 },
    ],
    'event-time',
  )
  await platform.settle()
  const spine = join(platform.directory, 'spine.csv')
  writeFileSync(spine, `${HEADER}\n${LINES.join('\n')}\n`)
  return { platform, spine }
}

test('cells of a CSV spine stand in a CSV output as they stand in the spine, byte for byte', async (context) => {
  const { platform, spine } = await shops(context)
  const out = join(platform.directory, 'out.csv')
  await exportTrainingSet(platform.context, { service: 'training', spine, out })
  const counts = [1, 1, 0, 0, 1]
  const expected = [`${HEADER},sold__n`, ...LINES.map((line, i) => `${line},${counts[i]}`)].join('\n')
  assert.equal(readFileSync(out, 'utf8'), `${expected}\n`)
})

test('into Parquet and Arrow a CSV column has the type that its values look like, but stays text where digits would be lost', async (context) => {
  const { platform, spine } = await shops(context)
  const out = join(platform.directory, 'out.parquet')
  await exportTrainingSet(platform.context, { service: 'training', spine, out })
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  const described = await connection.runAndReadAll(
    `SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${out}')`,
  )
  assert.deepEqual(Object.fromEntries(described.getRowsJson() as [string, string][]), {
    zip: 'VARCHAR',
    timestamp: 'VARCHAR',
    price: 'DOUBLE',
    code: 'VARCHAR',
    day: 'VARCHAR',
    label: 'BIGINT',
    note: 'VARCHAR',
    flag: 'BOOLEAN',
    long: 'VARCHAR',
    'odd, name': 'VARCHAR',
    sold__n: 'BIGINT',
  })
  const cells = await connection.runAndReadAll(`SELECT zip, code, long, price, label, sold__n FROM '${out}'`)
  assert.deepEqual(cells.getRowsJson(), [
    ['01234', '007', '123456789012345678901', 1.1, '1', '1'],
    ['01234', '010', '1', 2, '0', '1'],
    ['99999', '8', '2', 1000, '1', '0'],
    ['00001', '0', '3', -0, '0', '0'],
    ['7', null, null, null, null, '1'],
  ])
})
