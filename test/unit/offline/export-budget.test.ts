import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { exportTrainingSet } from '../../../offline/export.ts'
import type { ExportOptions, Manifest } from '../../../offline/export.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const START = Date.UTC(2024, 0, 1)
const HOUR = 3_600_000
const CASES = Number(process.env.TIDEMARK_BUDGET_CASES ?? 3)
/** One entity by one text, one by several columns; a view whose files only DuckDB reads (bytes, vectors), one that reads texts and lists. */
const DEFINITIONS = `import { count, distinctCount, entity, featureService, featureView, last, lastN, latest, max, mean, stream, sum, t, valueCounts } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const shop = entity('shop', { merchant: t.string(), terminal: t.int32() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string(), terminal: t.int32(), amount: t.float64().nullable(), big: t.int64(), note: t.string().nullable(), flag: t.bool(),
    shape: t.vector(2), raw: t.bytes(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const spend = featureView('spend', {
  entity: card, from: payments,
  features: { n: count().over('1h'), total: sum('amount').over('24h'), most: max('amount').over('24h'), bigs: sum('big').over('24h'), note: latest('note'),
    notes: valueCounts('note', { limit: 5 }).over('24h'), recent: lastN('amount', 2).over('24h') },
})
export const places = featureView('places', {
  entity: shop, from: payments,
  features: { n: count().over('lifetime'), average: mean('amount').over('24h'), cards: distinctCount('card_id', { limit: 9 }).over('24h'), shape: last('shape').over('24h'), raw: latest('raw') },
})
export const risk = featureService('risk', { features: [spend.all(), places.all()], request: { factor: t.float64() }, derive: { scaled: (f) => (f.spend__total ?? 0) * f.factor } })
`

async function platformOf(context: TestContext, random: Random): Promise<Platform> {
  const platform = await Platform.open(context, DEFINITIONS, { now: START + 100 * HOUR })
  const imports = 1 + random.below(3)
  for (let i = 0; i < imports; i++) {
    const events = Array.from({ length: random.below(250) }, () => ({
      card_id: `c${random.below(random.pick([1, 30]))}`,
      merchant: random.pick(['a', 'ü', 'b']),
      terminal: random.below(4) - 2,
      amount: random.pick([random.below(10_000) / 100, 0.1, null]),
      big: random.below(1000),
      note: random.pick(['x', 'ÿ', '', null]),
      flag: random.below(2) === 0,
      shape: [random.below(5), 0.5],
      raw: Buffer.from([random.below(256)]).toString('base64'),
      paid_at: START + random.below(60 * HOUR),
    }))
    await platform.import('payments', events, 'event-time')
    await platform.settle()
  }
  return platform
}

function writeSpine(random: Random, path: string): void {
  const rows = Array.from({ length: 1 + random.below(400) }, (_, i) => {
    const card = random.below(15) === 0 ? '' : `c${random.below(35)}`
    return [card, random.pick(['a', 'ü', 'z']), random.below(4) - 2, START + random.below(70 * HOUR), i / 8].join(',')
  })
  writeFileSync(path, `card_id,merchant,terminal,timestamp,factor\n${rows.join('\n')}\n`)
}

test(`whatever the memory and the threads, the same bytes: ${CASES} random archives and spines`, async (context) => {
  const seed = runSeed('export-budget')
  for (let number = 0; number < CASES; number++) {
    const random = new Random(seed + number)
    const platform = await platformOf(context, random)
    const folder = platform.directory
    const spine = join(folder, 'spine.csv')
    writeSpine(random, spine)
    const taken = join(folder, 'spine.parquet')
    await platform.context.tables.execute(
      `COPY (SELECT card_id, merchant, terminal::INTEGER AS terminal, make_timestamp(timestamp * 1000) AS timestamp, factor::DOUBLE AS factor FROM read_csv('${spine}', types = {'card_id': 'VARCHAR'}))
        TO '${taken}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`,
    )
    const run = async (
      name: string,
      options: Partial<ExportOptions>,
    ): Promise<{ bytes: Buffer; manifest: Manifest }> => {
      const out = join(folder, name)
      const manifest = await exportTrainingSet(platform.context, { service: 'risk', spine, out, ...options })
      return { bytes: readFileSync(out), manifest }
    }
    for (const path of [spine, taken]) {
      const asOf = random.pick(['arrival', 'event-time'] as const)
      const whole = await run('whole.parquet', { spine: path, asOf, threads: 0 })
      const budgets = [1, 64 + random.below(20_000)].map((eventBytes) => ({
        eventBytes,
        resultBytes: random.pick([0, 1e9]),
      }))
      for (const budget of [...budgets, { eventBytes: 1e9, resultBytes: 0 }]) {
        const parts = await run('parts.parquet', { spine: path, asOf, budget, threads: random.pick([0, 2]) })
        const label = `case ${number} of seed ${seed}, ${JSON.stringify(budget)}`
        assert.deepEqual(parts.bytes, whole.bytes, label)
        assert.deepEqual(parts.manifest, whole.manifest, label)
      }
    }
    const [texts, columns] = [await run('a.csv', {}), await run('b.csv', { spine: taken })]
    assert.deepEqual(
      columns.manifest.columns,
      texts.manifest.columns,
      `case ${number} of seed ${seed}: a spine read by SQL and one read as Parquet give the same`,
    )
    assert.ok(!existsSync(join(folder, 'parts.parquet.results.part')))
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes('.part')),
      [],
    )
  }
})
