import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Registry } from '../../../registry/registry.ts'
import { openSqliteMetadata } from '../../../stores/metadata/sqlite/open.ts'
import { PAYMENTS, temporaryProject } from '../../support/project.ts'

const DEFINITIONS = 'features/payments.ts'

async function openRegistry(context: TestContext, text: string = PAYMENTS) {
  const project = temporaryProject(context, { [DEFINITIONS]: text })
  const metadata = await openSqliteMetadata(join(project, '.tidemark', 'metadata.sqlite'))
  context.after(() => metadata.close())
  const rewrite = (next: string): void => writeFileSync(join(project, DEFINITIONS), next)
  return { project, metadata, rewrite, registry: new Registry(metadata) }
}

function edit(from: string, to: string): string {
  assert.ok(PAYMENTS.includes(from), `the definitions hold ${from}`)
  return PAYMENTS.replace(from, to)
}

test('plan writes nothing; apply registers; a second apply changes nothing', async (context) => {
  const { project, registry, metadata } = await openRegistry(context)
  const planned = await registry.plan(project)
  assert.deepEqual(await metadata.db.selectFrom('versions').selectAll().execute(), [])
  assert.deepEqual(await metadata.db.selectFrom('aliases').selectAll().execute(), [])
  const applied = await registry.apply(project, 1_000)
  assert.deepEqual(applied, planned)
  assert.deepEqual(
    applied.changes.map(({ kind, name, from }) => [kind, name, from]),
    [
      ['source', 'payments', null],
      ['entity', 'card', null],
      ['view', 'card_spend', null],
      ['service', 'fraud', null],
    ],
  )
  assert.deepEqual((await registry.apply(project, 2_000)).changes, [])
  assert.deepEqual((await registry.plan(project)).changes, [])
})

const SAME: readonly [what: string, text: string][] = [
  ['white space', PAYMENTS.replaceAll(', ', ',\n    ').replaceAll(' => ', '   =>   ')],
  ['comments', PAYMENTS.replaceAll('\n', ' // a remark\n').replace(/\/\/ a remark\n$/, '\n')],
  ['types', edit('where: (e) =>', 'where: (e: { amount: number }) =>')],
  [
    'owner, tags, description and freshness',
    edit("ttl: '30d'", "ttl: '30d', owner: 'me', tags: { a: 'b' }, description: 'd', freshness: '5m'"),
  ],
  ['a quoted description', edit("ttl: '30d'", "ttl: '30d', 'description': 'quoted'")],
  ['an unrelated helper', `${PAYMENTS}export const unrelated = (amount: number) => amount + 1\n`],
]
for (const [what, text] of SAME) {
  test(`no version changes with ${what}`, async (context) => {
    const { project, registry, rewrite } = await openRegistry(context)
    await registry.apply(project, 1_000)
    rewrite(text)
    assert.deepEqual((await registry.plan(project)).changes, [])
  })
}

const CHANGED: readonly [what: string, text: string, kinds: string[]][] = [
  ['an input function', edit('Math.min(e.amount, 1000)', 'Math.min(e.amount, 999)'), ['view', 'service']],
  ['where', edit('e.amount > 0', 'e.amount >= 0'), ['view', 'service']],
  ['a window', edit("count().over('1h')", "count().over('2h')"), ['view', 'service']],
  ['ttl', edit("ttl: '30d'", "ttl: '31d'"), ['view', 'service']],
  ['derive', edit('f.amount / (f', 'f.amount - (f'), ['service']],
]
for (const [what, text, kinds] of CHANGED) {
  test(`a change of ${what} makes new versions of: ${kinds.join(', ')}`, async (context) => {
    const { project, registry, rewrite } = await openRegistry(context)
    await registry.apply(project, 1_000)
    rewrite(text)
    const { changes } = await registry.plan(project)
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      kinds,
    )
    for (const { kind, from, to, backfill } of changes) {
      assert.notEqual(from, to)
      assert.equal(backfill, kind === 'view')
    }
    assert.deepEqual(changes.find(({ kind }) => kind === 'view')?.dependants ?? ['fraud'], ['fraud'])
  })
}

test('a registered version keeps its code whatever the working tree says', async (context) => {
  const { project, registry, rewrite } = await openRegistry(context)
  await registry.apply(project, 1_000)
  const [{ version }] = (await registry.keyedLogs())[0].views
  rewrite(edit('Math.min(e.amount, 1000)', 'Math.min(e.amount, 1)'))
  await registry.apply(project, 2_000)
  const old = await registry.view(version)
  assert.equal(old.functions.length, old.plan.functionCount)
  assert.equal(old.functions[0]({ amount: 0 }), false)
  assert.equal(old.functions[1]({ amount: 5_000 }), 1_000)
  const [current] = (await registry.keyedLogs())[0].views
  assert.notEqual(current.version, version)
  assert.equal(current.functions[1]({ amount: 5_000 }), 1)
})

test('a removed definition loses its name, not its version', async (context) => {
  const { project, registry, rewrite } = await openRegistry(context)
  await registry.apply(project, 1_000)
  const { version } = await registry.service('fraud')
  rewrite(PAYMENTS.slice(0, PAYMENTS.indexOf('export const fraud')))
  const { changes } = await registry.apply(project, 2_000)
  assert.deepEqual(
    changes.map(({ kind, name, to }) => [kind, name, to]),
    [['service', 'fraud', null]],
  )
  assert.equal((await registry.service(version)).plan.name, 'fraud')
  await assert.rejects(registry.service('fraud'), { code: 'TM_UNKNOWN_SERVICE', status: 404 })
})

test('user functions find no clock, randomness, locale or code generation when they run', async () => {
  const names = ['Date', 'Intl', 'WeakRef', 'setTimeout', 'process', 'eval', 'Function']
  const { loadBundle } = await import('../../../registry/compartment.ts')
  const code = `var tidemarkBundle={functions:[()=>[${names.map((name) => `typeof ${name}`).join(',')}],()=>typeof Math.random,()=>(()=>{}).constructor('return 1')(),()=>new Error('x').stack]}`
  const [globals, random, generated, stack] = loadBundle(code, 'probe')
  assert.deepEqual(
    [...(globals({}) as string[])],
    names.map(() => 'undefined'),
  )
  assert.equal(random({}), 'undefined')
  assert.throws(() => generated({}), { name: 'EvalError' })
  assert.equal(stack({}), 'Error: x')
})

test("user functions calculate with the kernel's Math, ** included", async (context) => {
  const { PURE_FUNCTIONS } = await import('../../../features/exact/pure-math.ts')
  const features = Object.entries(PURE_FUNCTIONS).map(
    ([name, fn]) => `${name}: sum((e) => Math.${name}(e.amount${fn.length === 2 ? ', 0.3' : ''})).over('1h')`,
  )
  const text = PAYMENTS.replace(
    "payments_1h: count().over('1h'),",
    `payments_1h: count().over('1h'), ${features.join(', ')},
    power: sum((e) => e.amount ** 0.3).over('1h'), bigint: sum((e) => 3n ** 4n, { type: t.int64() }).over('1h'),`,
  )
  const { project, registry } = await openRegistry(context, text)
  await registry.apply(project, 1_000)
  const [{ views }] = await registry.keyedLogs()
  const [{ plan, functions }] = views
  const call = (feature: string): unknown => {
    const input = plan.features.find(({ name }) => name === feature)?.aggregation.input
    assert.ok(input !== null && input !== undefined && 'fn' in input)
    return functions[input.fn]({ amount: 0.7310585786300049 })
  }
  for (const [name, fn] of Object.entries(PURE_FUNCTIONS))
    assert.equal(call(name), fn.length === 2 ? fn(0.7310585786300049, 0.3) : fn(0.7310585786300049), name)
  assert.equal(call('power'), PURE_FUNCTIONS.pow(0.7310585786300049, 0.3))
  assert.equal(call('bigint'), 81n)
})

test('a metadata store of a newer version is refused', async (context) => {
  const { project, metadata } = await openRegistry(context)
  const { sql } = await import('kysely')
  await sql`pragma user_version = 99`.execute(metadata.db)
  await assert.rejects(openSqliteMetadata(join(project, '.tidemark', 'metadata.sqlite')), { code: 'TM_DATA_NEWER' })
})
