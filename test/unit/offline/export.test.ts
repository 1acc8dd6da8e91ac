import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { exportTrainingSet } from '../../../offline/export.ts'
import type { Manifest } from '../../../offline/export.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const START = Date.UTC(2024, 0, 1)
const HOUR = 3_600_000
const DEFINITIONS = `import { count, entity, featureService, featureView, lastN, latest, max, mean, stream, sum, t, valueCounts } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), big: t.int64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const spend = featureView('spend', {
  entity: card, from: payments,
  features: {
    n: count().over('1h'),
    total: sum('amount').over('24h'),
    average: mean((e) => e.amount * 2).over('1h'),
    most: max('amount').over('24h'),
    big: latest('big'),
    paid: latest('paid_at'),
    merchants: valueCounts('merchant', { limit: 5 }).over('24h'),
    last: lastN('amount', 2).over('24h'),
  },
})
export const risk = featureService('risk', { features: [spend.all()], request: { factor: t.float64() }, derive: { scaled: (f) => (f.spend__total ?? 0) * f.factor } })
`

async function platformWithEvents(
  context: TestContext,
): Promise<{ platform: Platform; spine: string; random: Random }> {
  const random = new Random(runSeed('export'))
  const platform = await Platform.open(context, DEFINITIONS, { now: START + 100 * HOUR })
  const events = Array.from({ length: 400 }, () => ({
    card_id: `c${random.below(20)}`,
    merchant: random.pick(['a', 'ü', null]),
    amount: random.below(10_000) / 100,
    big: '9007199254740993',
    paid_at: START + random.below(60 * HOUR),
  }))
  await platform.import(
    'payments',
    events.map((event) => ({ ...event, big: 7 })),
    'event-time',
  )
  await platform.settle()
  const rows = Array.from(
    { length: 300 },
    (_, i) => `${random.below(25) === 0 ? '' : `c${random.below(24)}`},${START + random.below(70 * HOUR)},${i / 8},007`,
  )
  const spine = join(platform.directory, 'spine.csv')
  writeFileSync(spine, `card_id,timestamp,factor,label\n${rows.join('\n')}\n`)
  return { platform, spine, random }
}

async function exported(
  platform: Platform,
  spine: string,
  name: string,
  options: object = {},
): Promise<{ manifest: Manifest; out: string }> {
  const out = join(platform.directory, name)
  return { out, manifest: await exportTrainingSet(platform.context, { service: 'risk', spine, out, ...options }) }
}

async function query(sql: string): Promise<unknown[][]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  return (await connection.runAndReadAll(sql)).getRowsJson() as unknown[][]
}

test('one thread and several write the same bytes; a rerun from a manifest does after more events', async (context) => {
  const { platform, spine } = await platformWithEvents(context)
  const one = await exported(platform, spine, 'one.parquet', { threads: 0 })
  const two = await exported(platform, spine, 'two.parquet', { threads: 2 })
  assert.deepEqual(readFileSync(one.out), readFileSync(two.out))
  assert.deepEqual(one.manifest, two.manifest)
  await platform.import(
    'payments',
    Array.from({ length: 20 }, (_, i) => ({
      card_id: `c${i}`,
      merchant: 'z',
      amount: 1e6,
      big: 1,
      paid_at: START + HOUR,
    })),
    'event-time',
  )
  await platform.settle()
  const later = await exported(platform, spine, 'later.parquet')
  assert.notEqual(later.manifest.outputSha256, one.manifest.outputSha256)
  const again = await exported(platform, spine, 'again.parquet', { pinned: one.manifest })
  assert.deepEqual(readFileSync(again.out), readFileSync(one.out))
  assert.deepEqual(again.manifest, one.manifest)
})

test('lists and maps are lists and maps in Parquet, JSON text in CSV; the spine passes through in its order', async (context) => {
  const { platform, spine } = await platformWithEvents(context)
  const { out, manifest } = await exported(platform, spine, 'out.parquet')
  const described = await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '${out}')`)
  const types = Object.fromEntries(described) as Record<string, string>
  assert.equal(types.spend__n, 'BIGINT')
  assert.equal(types.spend__merchants, 'MAP(VARCHAR, BIGINT)')
  assert.equal(types.spend__last, 'DOUBLE[]')
  assert.equal(types.spend__paid, 'TIMESTAMP WITH TIME ZONE')
  const differing = await query(
    `SELECT count(*) FROM '${out}' a POSITIONAL JOIN read_csv('${spine}', types = {'card_id': 'VARCHAR'}) b WHERE a.card_id IS DISTINCT FROM b.card_id OR a.timestamp <> b.timestamp OR a.factor <> b.factor`,
  )
  assert.deepEqual(differing, [['0']])
  assert.equal(manifest.rows, 300)
  const [[wrong]] = await query(
    `SELECT count(*) FROM '${out}' WHERE abs(scaled - coalesce(spend__total, 0) * factor) > 1e-9`,
  )
  assert.equal(wrong, '0')
  const csv = await exported(platform, spine, 'out.csv')
  const [[bad]] = await query(
    `SELECT count(*) FROM read_csv('${csv.out}', all_varchar = true) c POSITIONAL JOIN '${out}' p WHERE c.spend__total::DOUBLE IS DISTINCT FROM p.spend__total
      OR c.spend__paid::BIGINT IS DISTINCT FROM epoch_ms(p.spend__paid::TIMESTAMP) OR json_array_length(c.spend__last) IS DISTINCT FROM len(p.spend__last)`,
  )
  assert.equal(bad, '0')
})

test('an output that could not be put in its place is refused before any work, and the spine is never replaced', async (context) => {
  const { platform, spine } = await platformWithEvents(context)
  const path = (name: string): string => join(platform.directory, name)
  mkdirSync(path('folder.parquet'))
  mkdirSync(path('taken.csv.manifest.json'))
  symlinkSync(spine, path('link.csv'))
  const bytes = readFileSync(spine)
  const cases: readonly (readonly [string, RegExp])[] = [
    ['folder.parquet', /folder\.parquet is a folder/],
    ['taken.csv', /taken\.csv\.manifest\.json is a folder/],
    ['missing/x.parquet', /missing does not exist/],
    [`${basename(spine)}/x.parquet`, /is no folder/],
    [basename(spine), /that is the spine/],
    ['link.csv', /that is the spine/],
  ]
  for (const [name, message] of cases) {
    const onProgress = (): void => assert.fail(`${name}: work was done`)
    await assert.rejects(exported(platform, spine, name, { onProgress }), { code: 'TM_EXPORT_OUTPUT', message })
  }
  assert.deepEqual(readFileSync(spine), bytes)
  const before = 'not an export'
  writeFileSync(path('old.csv'), before)
  writeFileSync(path('old.csv.manifest.json'), before)
  const controller = new AbortController()
  await assert.rejects(
    exported(platform, spine, 'old.csv', {
      signal: controller.signal,
      onProgress: ({ phase }: { phase: string }) => phase === 'write' && controller.abort(new Error('stop')),
    }),
    /stop/,
  )
  const stale = readdirSync(platform.directory)
    .filter((name) => name.startsWith('old.'))
    .sort()
  assert.deepEqual(stale, ['old.csv', 'old.csv.manifest.json'])
  for (const name of stale) assert.equal(readFileSync(path(name), 'utf8'), before)
  await exported(platform, spine, 'old.csv')
  assert.notEqual(readFileSync(path('old.csv'), 'utf8'), before)
})

test('bad spines and stopped exports say so and leave nothing behind', async (context) => {
  const { platform, spine } = await platformWithEvents(context)
  const file = (text: string): string => {
    const path = join(platform.directory, 'bad.csv')
    writeFileSync(path, text)
    return path
  }
  await assert.rejects(exported(platform, file('card_id,timestamp,factor,spend__n\nc1,0,1,2\n'), 'x.parquet'), {
    code: 'TM_SPINE_COLUMN',
    message: /spend__n/,
  })
  await assert.rejects(exported(platform, file('card_id,timestamp,factor\nc1,0,1\nc1,,1\n'), 'x.parquet'), {
    code: 'TM_SPINE_COLUMN',
    message: /row 2 /,
  })
  await assert.rejects(exported(platform, file('card_id,timestamp,factor\nc1,0,1\nc1,1,often\n'), 'x.parquet'), {
    code: 'TM_SPINE_COLUMN',
    message: /factor.*row 2 /,
  })
  await assert.rejects(
    exported(platform, spine, 'x.parquet', { pinned: { positions: {}, incarnations: {}, completeUntil: 0 } }),
    { code: 'TM_POSITIONS_UNKNOWN' },
  )
  const controller = new AbortController()
  const stopped = exported(platform, spine, 'x.parquet', {
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('stop')),
  })
  await assert.rejects(stopped, /stop/)
  assert.deepEqual(
    readdirSync(platform.directory).filter((name) => name.startsWith('x.')),
    [],
  )
  const none = await exported(platform, file('card_id,timestamp,factor\n'), 'none.parquet')
  assert.equal(none.manifest.rows, 0)
  assert.ok(existsSync(none.out))
  assert.deepEqual(await query(`SELECT count(*) FROM '${none.out}'`), [['0']])
})
