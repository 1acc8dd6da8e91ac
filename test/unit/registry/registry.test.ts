import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import { Registry } from '../../../registry/registry.ts'
import { openSqliteMetadata } from '../../../stores/metadata/sqlite/open.ts'
import { PAYMENTS, temporaryProject } from '../../support/project.ts'

async function openRegistry(context: TestContext, text: string) {
  const project = temporaryProject(context, { 'features/card.ts': text })
  const metadata = await openSqliteMetadata(join(project, 'metadata.sqlite'))
  context.after(() => metadata.close())
  return { project, metadata, registry: new Registry(metadata) }
}

/** Names of the definitions that `text` would change against what was applied before. */
async function changesAfter(context: TestContext, text: string): Promise<string[]> {
  const { project, registry } = await openRegistry(context, PAYMENTS)
  await registry.apply(project, 0)
  // A second file name, as a module is imported once per path and modification time.
  writeFileSync(join(project, 'features/card.ts'), text)
  return (await registry.plan(project)).changes.map(({ name }) => name).sort()
}

async function refusal(context: TestContext, text: string): Promise<{ code: string; message: string }> {
  const { project, registry } = await openRegistry(context, text)
  try {
    await registry.plan(project)
  } catch (error) {
    assert.ok(isTidemarkError(error), String(error))
    return error
  }
  throw new assert.AssertionError({ message: 'the definitions were accepted' })
}

test('formatting, comments, descriptions and neighbours in the file do not change a version', async (context) => {
  const text = PAYMENTS.replace(
    "ttl: '30d',",
    "ttl: '30d', description: 'What a card did', owner: 'a@b.c', // a comment\n",
  )
    .replace('(e) => e.amount > 0', '(e)   =>\n e.amount > 0')
    .replace(
      'export const fraud',
      "export const idle = featureView('idle', { entity: card, from: payments, where: (e) => e.amount > 5, features: { n: count().over('1h') } })\nexport const fraud",
    )
  assert.deepEqual(await changesAfter(context, text), ['idle'])
})

test('a changed function, window or ttl is a new version of the view and of the services that read it', async (context) => {
  for (const [from, to] of [
    ['e.amount > 0', 'e.amount > 1'],
    ["over('24h')", "over('12h')"],
    ["ttl: '30d'", "ttl: '29d'"],
  ]) {
    assert.deepEqual(await changesAfter(context, PAYMENTS.replace(from, to)), ['card_spend', 'fraud'], to)
  }
})

test('a registered version runs without the working tree', async (context) => {
  const { project, metadata, registry } = await openRegistry(context, PAYMENTS)
  await registry.apply(project, 0)
  writeFileSync(join(project, 'features/card.ts'), 'export const gone = 1\n')
  const [log] = await new Registry(metadata).keyedLogs()
  const [where, input] = log.views[0].functions
  assert.equal(where({ amount: 1 }), true)
  assert.equal(input({ amount: 5000 }), 1000)
})

test('functions that reach for time, randomness, locale or I/O are refused by name', async (context) => {
  for (const expression of [
    'Date.now() > e.amount',
    'Math.random() > e.amount',
    'process.env.X === "1"',
    'new Intl.Collator() !== null',
  ]) {
    const { code, message } = await refusal(context, PAYMENTS.replace('(e) => e.amount > 0', `(e) => ${expression}`))
    assert.equal(code, 'TM_FUNCTION_IMPURE', expression)
    assert.match(message, /card_spend|cardSpend/)
  }
})

test('wrong definitions are refused with file, line and reason', async (context) => {
  const cases: [string, string, RegExp][] = [
    [
      "sum('amount')",
      "sum('amuont')",
      /card\.ts:\d+: feature spend_24h of view card_spend: sum reads column "amuont", which the source does not have/,
    ],
    ["sum('amount')", "sum('merchant')", /sum reads int32, int64, float32, float64, but its input is string/],
    ["{ hop: '1h' }", "{ hop: '5h' }", /not a multiple of its hop/],
    ["over('24h')", "over('1 day')", /is not a duration/],
    ["'card_spend'", "'Card-Spend'", /view name "Card-Spend" is not allowed/],
    ["eventTime: 'paid_at'", "eventTime: 'amount'", /must be t\.timestamp\(\)/],
    ['{ card_id: t.string() }', '{ card_no: t.string() }', /has no column card_no, which entity card is keyed by/],
  ]
  for (const [from, to, expected] of cases)
    assert.match((await refusal(context, PAYMENTS.replace(from, to))).message, expected)
  assert.equal((await refusal(context, 'export const broken = {')).code, 'TM_DEFINITION_LOAD')
  assert.equal((await refusal(context, 'export const nothing = 1')).code, 'TM_NO_DEFINITIONS')
})
