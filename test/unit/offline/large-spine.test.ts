import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { exportTrainingSet } from '../../../offline/export.ts'
import { Platform } from '../../support/platform.ts'

const DEFINITIONS = `import { count, entity, featureService, featureView, stream, t } from 'tidemark'
export const shop = entity('shop', { zip: t.string() })
export const sales = stream('sales', { schema: { zip: t.string(), sold_at: t.timestamp() }, eventTime: 'sold_at' })
export const sold = featureView('sold', { entity: shop, from: sales, features: { n: count().over('1h') } })
export const training = featureService('training', { features: [sold.all()] })
`
const ROWS = 1_500_000

test('a spine whose rows do not fit in the memory is refused before anything is read; with the memory that the message names it is taken', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: Date.UTC(2024, 0, 2) })
  const { tables } = platform.context
  const spine = join(platform.directory, 'spine.parquet')
  await tables.execute(
    `COPY (SELECT 'a' AS zip, 1704067200000 + range AS timestamp FROM range(${ROWS})) TO '${spine}' (FORMAT parquet)`,
  )
  const out = join(platform.directory, 'out.parquet')
  const run = async (memoryBytes: number): Promise<number> =>
    (
      await exportTrainingSet(platform.context, {
        service: 'training',
        spine,
        out,
        memoryBytes,
        asOf: 'event-time',
        threads: 0,
      })
    ).rows
  let raised = 0
  await assert.rejects(run(100e6), (error: Error & { code: string }) => {
    assert.equal(error.code, 'TM_SPINE_TOO_LARGE')
    raised = Number(/raise --memory to ([0-9.]+)GB/.exec(error.message)?.[1]) * 1e9
    return raised > 100e6 && raised < 1e9
  })
  assert.ok(!existsSync(out))
  assert.deepEqual(
    readdirSync(platform.directory).filter((name) => name.includes('.part')),
    [],
  )
  assert.equal(await run(raised), ROWS)
})
