import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'node:test'
import { CliProcess, tidemark, tidemarkJson } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'

interface Backfill {
  readonly view: string
  readonly versions: readonly {
    version: string
    keyedLog: string
    live: boolean
    records: number
    recordsTotal: number
  }[]
}

interface Answer {
  readonly version: string
  readonly features: readonly string[]
  readonly rows: readonly { readonly values: readonly unknown[] }[]
}

const EVENTS = 3000

test('a changed view is replayed by `backfill`, also after kill -9; its service reads the old version until then', async (context) => {
  const random = new Random(runSeed('backfill command'))
  const project = temporaryProject(context, { 'features/card.ts': PAYMENTS })
  await tidemarkJson(project, 'apply')
  const lines = Array.from({ length: EVENTS }, (_, i) =>
    JSON.stringify({ card_id: `c-${i % 3}`, merchant: 'm', amount: 1 + (i % 7), paid_at: Date.now() - 60_000 }),
  )
  writeFileSync(join(project, 'events.jsonl'), `${lines.join('\n')}\n`)
  await tidemarkJson(project, 'produce', 'payments', join(project, 'events.jsonl'))
  const get = (): Promise<Answer> => tidemarkJson<Answer>(project, 'get', 'fraud', 'card_id=c-1', 'amount=1')
  const before = await get()

  writeFileSync(join(project, 'features/card.ts'), PAYMENTS.replace("over('24h')", "over('12h')"))
  await tidemarkJson(project, 'apply')
  const meanwhile = await get()
  assert.equal(meanwhile.version, before.version, 'the old version is served')
  assert.equal(meanwhile.rows[0].values[0], EVENTS / 3)

  const killed = new CliProcess(context, project, 'backfill', 'card_spend')
  await pause(random.below(900))
  killed.child.kill('SIGKILL')
  await killed.exited
  const done = await tidemarkJson<Backfill>(project, 'backfill', 'card_spend')
  assert.ok(done.versions.length > 0 && done.versions.every(({ live }) => live))
  const after = await get()
  assert.notEqual(after.version, before.version, 'the new version is served')
  assert.equal(after.rows[0].values[0], EVENTS / 3, 'every event counted once')

  writeFileSync(join(project, 'features/card.ts'), PAYMENTS)
  await tidemarkJson(project, 'apply')
  await tidemarkJson(project, 'backfill', 'card_spend')
  assert.equal((await get()).version, before.version, 'rolled back')

  const further = `${PAYMENTS}
export const shop = entity('shop', { merchant: t.string().nullable() })
export const shopSales = featureView('shop_sales', { entity: shop, from: payments, features: { n: count().over('24h') } })
export const sales = featureService('sales', { features: [shopSales.all()] })
`
  writeFileSync(
    join(project, 'features/card.ts'),
    further.replaceAll('merchant: t.string().nullable()', 'merchant: t.string()'),
  )
  await tidemarkJson(project, 'apply')
  const filled = await tidemarkJson<Backfill>(project, 'backfill', 'shop_sales')
  assert.deepEqual(
    filled.versions.map(({ keyedLog, live }) => ({ keyedLog, live })),
    [{ keyedLog: 'payments.shop', live: true }],
  )
  assert.equal((await tidemarkJson<Answer>(project, 'get', 'sales', 'merchant=m')).rows[0].values[0], EVENTS)
  writeFileSync(join(project, 'features/card.ts'), PAYMENTS)
  await tidemarkJson(project, 'apply')
  writeFileSync(
    join(project, 'features/card.ts'),
    PAYMENTS.replace('amount: t.float64(), paid_at', 'amount: t.float64(), note: t.string().nullable(), paid_at'),
  )
  const planned = await tidemark(project, 'plan')
  assert.match(planned.stdout, /change +source +payments .*a new layout: history is taken over/)
  assert.match(planned.stdout, /change +view +card_spend .*copied into a keyed log of this entity.*about 3,000 events/)
  await tidemarkJson(project, 'apply')
  assert.equal((await get()).version, before.version, 'the old version is served')
  const taken = await tidemarkJson<Backfill>(project, 'backfill', 'card_spend')
  assert.ok(taken.versions.some(({ keyedLog, live }) => keyedLog === 'payments.2.card' && live))
  const wider = await get()
  assert.notEqual(wider.version, before.version)
  assert.equal(wider.rows[0].values[0], EVENTS / 3, 'all history is there')
  assert.equal((await tidemark(project, 'verify')).code, 0, 'vectors of both versions verify')
  const unknown = await tidemark(project, 'backfill', 'nothing')
  assert.equal(unknown.code, 1)
  assert.match(unknown.stderr, /TM_UNKNOWN_VIEW.*known are card_spend/)
})
