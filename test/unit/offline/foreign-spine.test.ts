import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { exportTrainingSet } from '../../../offline/export.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const START = Date.UTC(2024, 0, 1)
const HOUR = 3_600_000
const FILES = join(import.meta.dirname, '../../support/parquet-spines')
const COMPRESSIONS = ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4_raw']
const DEFINITIONS = `import { count, entity, featureService, featureView, latest, mean, stream, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', { schema: { card_id: t.string(), amount: t.float64(), paid_at: t.timestamp() }, eventTime: 'paid_at' })
export const spend = featureView('spend', { entity: card, from: payments, features: { n: count().over('1h'), average: mean('amount').over('24h'), newest: latest('amount') } })
export const risk = featureService('risk', { features: [spend.all()], request: { factor: t.float64() }, derive: { scaled: (f) => (f.spend__newest ?? 0) * f.factor } })
`

/** The rows as text, the same whatever the time's unit is; the results as they are. */
async function rowsOf(connection: DuckDBConnection, sql: string): Promise<unknown[][]> {
  const times = `SELECT card_id::VARCHAR, epoch_us("timestamp"), factor, "row"`
  const reader = await connection.runAndReadAll(
    `${times}, spend__n, spend__average, spend__newest, scaled FROM ${sql} ORDER BY "row"`,
  )
  return reader.getRowsJson() as unknown[][]
}

test('spines as other writers make them, of every codec, encoding and type: the same rows, and their columns come through', async (context) => {
  const random = new Random(runSeed('foreign spines'))
  const platform = await Platform.open(context, DEFINITIONS, { now: START + 100 * HOUR })
  const events = Array.from({ length: 500 }, () => ({
    card_id: `c${random.below(20)}`,
    amount: random.below(10_000) / 100,
    paid_at: START + random.below(60 * HOUR),
  }))
  await platform.import('payments', events, 'event-time')
  await platform.settle()
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  context.after(() => connection.closeSync())
  const spines = readdirSync(FILES)
    .filter((name) => name.endsWith('.parquet'))
    .map((name) => join(FILES, name))
  const plain = join(FILES, 'nanoseconds.parquet')
  for (const version of ['V1', 'V2'])
    for (const compression of COMPRESSIONS) {
      const path = join(platform.directory, `duckdb-${version}-${compression}.parquet`)
      await connection.run(
        `COPY (SELECT * FROM '${plain}') TO '${path}' (FORMAT parquet, PARQUET_VERSION ${version}, COMPRESSION ${compression})`,
      )
      spines.push(path)
    }
  let expected: unknown[][] | null = null
  for (const [i, spine] of spines.entries()) {
    const out = join(platform.directory, `out-${i}.parquet`)
    await exportTrainingSet(platform.context, { service: 'risk', spine, out, threads: 0 })
    const rows = await rowsOf(connection, `read_parquet('${out}')`)
    expected ??= rows
    assert.equal(rows.length, 90)
    assert.deepEqual(rows, expected, spine)
    const difference = `SELECT count(*) FROM (SELECT * FROM '${spine}' EXCEPT ALL SELECT COLUMNS(c -> c NOT LIKE 'spend__%' AND c <> 'scaled') FROM '${out}')`
    assert.deepEqual((await connection.runAndReadAll(difference)).getRowsJson(), [['0']], spine)
  }
  assert.ok(expected!.some((row) => row[4] !== '0') && expected!.some((row) => row[6] === null))
})
