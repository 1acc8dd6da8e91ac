import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ViewPlan } from '../../../features/plan/view-plan.ts'
import { compileProject } from '../../../registry/compile-project.ts'
import { temporaryProject } from '../../support/project.ts'

const HEAD = `import { count, countWhere, entity, featureService, featureView, last, lastN, max, mean, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant: t.string().nullable(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
`
const view = (features: string, rest: string = ''): string =>
  `export const spend = featureView('spend', { entity: card, from: payments, features: { ${features} }${rest} })\n`

async function compile(context: TestContext, text: string, more: Readonly<Record<string, string>> = {}) {
  return compileProject(temporaryProject(context, { 'features/spend.ts': text, ...more }))
}

const REFUSED: readonly [what: string, text: string, code: string, says: RegExp][] = [
  ['a bad name', view("Spend: count().over('1h')"), 'TM_DEFINITION_INVALID', /lower-case letters/],
  ['an unknown column', view("a: sum('amuont').over('1h')"), 'TM_DEFINITION_INVALID', /reads column "amuont".*card_id/],
  [
    'a sum of strings',
    view("a: sum('merchant').over('1h')"),
    'TM_DEFINITION_INVALID',
    /sum reads int32, int64, float32, float64, but its input is string/,
  ],
  [
    'a window that is no multiple of its hop',
    view("a: count().over('1h', { hop: '7m' })"),
    'TM_DEFINITION_INVALID',
    /multiple of its hop/,
  ],
  ['a window that is no duration', view("a: count().over('soon')"), 'TM_DEFINITION_INVALID', /not a duration/],
  ['an aggregation without window', view('a: count()'), 'TM_DEFINITION_INVALID', /without \.over/],
  ['a feature that is none', view('a: 3'), 'TM_DEFINITION_INVALID', /must be an aggregation.*found 3/],
  ['a default of a wrong type', view("a: sum('amount').over('1h').default('x')"), 'TM_DEFINITION_INVALID', /finite/],
  [
    'a wrong pattern',
    view("a: last('merchant').over('1h')", ", expect: { a: { matches: '(' } }"),
    'TM_DEFINITION_INVALID',
    /not a regular expression/,
  ],
  [
    'reversed bounds',
    view("a: sum('amount').over('1h')", ', expect: { a: { between: [5, 1] } }'),
    'TM_DEFINITION_INVALID',
    /least, greatest/,
  ],
  [
    'expect on an unknown feature',
    view("a: count().over('1h')", ', expect: { b: { notNull: true } }'),
    'TM_DEFINITION_INVALID',
    /unknown feature b/,
  ],
  ['a wrong freshness', view("a: count().over('1h')", ", freshness: 'soon'"), 'TM_DEFINITION_INVALID', /freshness/],
  [
    'a view without source',
    "export const v = featureView('v', { entity: card, features: { a: count().over('1h') } })",
    'TM_DEFINITION_INVALID',
    /from must be what stream/,
  ],
  [
    'an entity column that the source lacks',
    "export const v = featureView('v', { entity: entity('shop', { shop: t.string() }), from: payments, features: { a: count().over('1h') } })",
    'TM_DEFINITION_INVALID',
    /has no column shop/,
  ],
  [
    'a service naming an unknown feature',
    `${view("a: count().over('1h')")}export const s = featureService('s', { features: [spend.pick('zzz')] })`,
    'TM_DEFINITION_INVALID',
    /no feature "zzz"/,
  ],
  [
    'two definitions of one name',
    `${view("a: count().over('1h')")}export const again = featureView('spend', { entity: card, from: payments, features: { a: count().over('1h') } })`,
    'TM_DEFINITION_DUPLICATE',
    /is named spend, and so is/,
  ],
  [
    'two entities of one name',
    `${view("a: count().over('1h')")}export const w = featureView('w', { entity: entity('card', { merchant: t.string() }), from: payments, features: { a: count().over('1h') } })`,
    'TM_DEFINITION_DUPLICATE',
    /another entity named card/,
  ],
  ['Date', view("a: sum(() => Date.now()).over('1h')"), 'TM_FUNCTION_IMPURE', /uses Date/],
  ['randomness', view("a: sum(() => Math.random()).over('1h')"), 'TM_FUNCTION_IMPURE', /uses Math\.random/],
  [
    'Math by another name',
    `const m = Math\n${view("a: sum(() => m.random()).over('1h')")}`,
    'TM_FUNCTION_IMPURE',
    /Math as a value/,
  ],
  [
    'a destructured Math',
    `const { random } = Math\n${view("a: sum(() => random()).over('1h')")}`,
    'TM_FUNCTION_IMPURE',
    /Math\.random/,
  ],
  [
    'the locale',
    view("a: countWhere((e) => e.card_id.localeCompare('b') > 0).over('1h')"),
    'TM_FUNCTION_IMPURE',
    /localeCompare/,
  ],
  [
    'memory of earlier events',
    `let seen = 0\n${view("a: countWhere(() => seen++ > 3).over('1h')")}`,
    'TM_FUNCTION_IMPURE',
    /seen = …/,
  ],
  [
    'memory inside an object',
    `const memory = { seen: 0 }\n${view("a: countWhere(() => (memory.seen += 1) > 3).over('1h')")}`,
    'TM_FUNCTION_IMPURE',
    /memory = …/,
  ],
  [
    'a column that the event lacks',
    view("a: sum((e) => e.amuont).over('1h')"),
    'TM_DEFINITION_INVALID',
    /spend\.ts:7: the function of a of view spend reads amuont, but an event of source payments has only card_id/,
  ],
  [
    'a destructured column that the event lacks',
    view("a: count().over('1h')", ', where: ({ amount, merchnt }) => amount > 0 && merchnt === null'),
    'TM_DEFINITION_INVALID',
    /the function of where of view spend reads merchnt/,
  ],
  [
    'a field that the vector lacks',
    `${view("a: count().over('1h')")}export const s = featureService('s', { features: [spend.all()], derive: { b: (f) => f.spend__b } })`,
    'TM_DEFINITION_INVALID',
    /the function of b of service s reads spend__b, but the vector has only spend__a/,
  ],
  [
    'a function that changes its argument',
    `${view("a: lastN('amount', 3).over('1h')")}export const s = featureService('s', { features: [spend.all()], derive: { b: (f) => f.spend__a.sort()[0] } })`,
    'TM_DEFINITION_INVALID',
    /the function of b of service s changes its argument/,
  ],
  [
    'a Node module',
    `import { statSync } from 'node:fs'\n${view("a: sum(() => statSync('/').size).over('1h')")}`,
    'TM_FUNCTION_BUNDLE',
    /node:fs/,
  ],
]
for (const [what, text, code, says] of REFUSED) {
  test(`refused with code, file and reason: ${what}`, async (context) => {
    await assert.rejects(compile(context, HEAD + text), (error: Error & { code?: string }) => {
      assert.equal(error.code, code, error.message)
      assert.match(error.message, says)
      if (!/another entity/.test(error.message)) assert.match(error.message, /features\/spend\.ts/)
      return true
    })
  })
}

test('an invalid feature is reported at its own line', async (context) => {
  const text = `${HEAD}export const spend = featureView('spend', {
  entity: card, from: payments,
  features: {
    good: count().over('1h'),
    bad: sum('merchant').over('1h'),
  },
})
`
  const line = text.split('\n').findIndex((l) => l.includes('bad:')) + 1
  await assert.rejects(compile(context, text), new RegExp(`features/spend\\.ts:${line}: feature bad of view spend`))
})

const ALLOWED: readonly [what: string, text: string][] = [
  ['helpers with local state', 'const f = (n: number) => { let s = 0; for (let i = 0; i < n; i++) s += i; return s }'],
  ['a local that hides an outer name', 'let s = 0\nconst f = (n: number) => { let s = 1; s += n; return s }'],
  [
    'transcendental functions',
    'const { sin, log1p } = Math\nconst f = (n: number) => sin(n) + log1p(n) ** 2 + Math.atan2(n, 2)',
  ],
  ['an own function named like a global', 'const escape = (n: number) => n\nconst f = (n: number) => escape(n)'],
]
for (const [what, helper] of ALLOWED) {
  test(`allowed: ${what}`, async (context) => {
    await compile(context, `${HEAD}${helper}\n${view("a: sum((e) => f(e.amount)).over('1h')")}`)
  })
}

test('default hops follow the length of the window', async (context) => {
  const windows = ['30s', '1h', '24h', '7d', '30d', '90d']
  const text = HEAD + view(windows.map((length, i) => `w${i}: count().over('${length}')`).join(', '))
  const plan = (await compile(context, text)).find(({ kind }) => kind === 'view')?.plan as ViewPlan
  const hops = plan.features.map(({ window }) => (window.kind === 'sliding' ? window.hopMs : null))
  assert.deepEqual(hops, [30_000, 60_000, 900_000, 3_600_000, 21_600_000, 86_400_000])
})

test('a file that only re-exports adds nothing', async (context) => {
  const text = HEAD + view("a: count().over('1h')")
  const names = (await compile(context, text, { 'features/index.ts': "export * from './spend.ts'\n" })).map(
    ({ kind, name }) => `${kind}:${name}`,
  )
  assert.deepEqual(names.sort(), ['entity:card', 'source:payments', 'view:spend'])
})
