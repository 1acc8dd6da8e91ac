import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { PlanChange } from '../../../registry/plan-report.ts'
import { Registry } from '../../../registry/registry.ts'
import { openSqliteMetadata } from '../../../stores/metadata/sqlite/open.ts'
import { PAYMENTS, temporaryProject } from '../../support/project.ts'

async function openRegistry(context: TestContext) {
  const project = temporaryProject(context, { 'features/payments.ts': PAYMENTS })
  const metadata = await openSqliteMetadata(join(project, '.tidemark', 'metadata.sqlite'))
  context.after(() => metadata.close())
  const registry = new Registry(metadata)
  await registry.apply(project, 1_000)
  return {
    project,
    registry,
    rewrite: (text: string): void => writeFileSync(join(project, 'features/payments.ts'), text),
  }
}

/** Edits of the definitions, and what plan says of the view and of the service: `+ part`, `- part`, `~ part: from → to`. */
const EDITS: readonly [from: string, to: string, view: readonly string[], service: readonly string[]][] = [
  [
    "spend_24h: sum('amount').over('24h'),",
    "spend_24h: sum('amount').over('12h'),",
    ['~ feature spend_24h: sum(amount) over 1d by 15m → sum(amount) over 12h by 15m'],
    ['~ view card_spend'],
  ],
  [
    "payments_1h: count().over('1h'),",
    "payments_1h: count().over('1h'), items: sum((e) => e.amount).over('1h'),",
    ['+ feature items'],
    ['+ feature card_spend__items', '~ order', '~ view card_spend'],
  ],
  [
    "last_merchant: last('merchant').over('lifetime'),",
    '',
    ['- feature last_merchant'],
    ['- feature card_spend__last_merchant', '~ order', '~ view card_spend'],
  ],
  [
    'Math.min(e.amount, 1000)',
    'Math.min(e.amount, 999)',
    [
      '~ feature spend_mean_7d: mean(e=>Math.min(e.amount,1e3)) over 7d by 1h → mean(e=>Math.min(e.amount,999)) over 7d by 1h',
    ],
    ['~ view card_spend'],
  ],
  ['e.amount > 0', 'e.amount > 5', ['~ where: e=>e.amount>0 → e=>e.amount>5'], ['~ view card_spend']],
  ["ttl: '30d'", "ttl: '7d'", ['~ ttl: 30d → 7d'], ['~ view card_spend']],
  [
    "max('amount').over('30d').default(0)",
    "max('amount').over('30d').default(1)",
    ['~ feature biggest_30d: max(amount) over 30d by 6h default 0 → max(amount) over 30d by 6h default 1'],
    ['~ view card_spend'],
  ],
  ['f.amount / (f', 'f.amount - (f', [], ['~ derived amount_vs_mean']],
  ['request: { amount: t.float64() }', 'request: { amount: t.float32() }', [], ['~ request amount: float64 → float32']],
]

function texts(change: PlanChange | undefined): string[] {
  return (change?.details ?? []).map(({ change: kind, part, from, to }) => {
    if (kind === 'added') return `+ ${part}`
    if (kind === 'removed') return `- ${part}`
    return /^(feature|where|ttl|request)/.test(part) ? `~ ${part}: ${from} → ${to}` : `~ ${part}`
  })
}

for (const [from, to, view, service] of EDITS) {
  test(`plan tells what is inside the change of ${from} to ${to || 'nothing'}`, async (context) => {
    const { project, registry, rewrite } = await openRegistry(context)
    assert.ok(PAYMENTS.includes(from))
    rewrite(PAYMENTS.replace(from, to))
    const { changes } = await registry.plan(project, () => Promise.resolve({ events: 42, how: 'replay' }))
    const of = (kind: string): PlanChange | undefined => changes.find((change) => change.kind === kind)
    assert.deepEqual(texts(of('view')), view)
    assert.deepEqual(texts(of('service')).sort(), [...service].sort())
    if (view.length > 0)
      assert.deepEqual([of('view')?.estimate, of('view')?.dependants], [{ events: 42, how: 'replay' }, ['fraud']])
    assert.equal(of('service')?.estimate, null)
  })
}

test('code that the functions call is told where no function itself differs', async (context) => {
  const { project, registry, rewrite } = await openRegistry(context)
  const withHelper = (limit: number): string =>
    `const cap = (x) => Math.min(x, ${limit})\n${PAYMENTS.replace('Math.min(e.amount, 1000)', 'cap(e.amount)')}`
  rewrite(withHelper(1000))
  await registry.apply(project, 2_000)
  rewrite(withHelper(999))
  const { changes } = await registry.plan(project)
  assert.deepEqual(
    changes.find(({ kind }) => kind === 'view')?.details.map(({ part }) => part),
    ['code'],
  )
})

test('owner, tags, description and freshness are catalogue changes, no versions', async (context) => {
  const { project, registry, rewrite } = await openRegistry(context)
  rewrite(PAYMENTS.replace("ttl: '30d'", "ttl: '30d', owner: 'me', tags: { b: '2', a: '1' }, freshness: '5m'"))
  const planned = await registry.plan(project)
  assert.deepEqual(planned, await registry.apply(project, 2_000))
  assert.deepEqual(planned, {
    changes: [],
    catalogue: [
      { kind: 'view', name: 'card_spend', field: 'owner', from: null, to: 'me' },
      { kind: 'view', name: 'card_spend', field: 'tags', from: null, to: 'a=1 b=2' },
      { kind: 'view', name: 'card_spend', field: 'freshness', from: null, to: '5m' },
    ],
  })
  assert.deepEqual((await registry.plan(project)).catalogue, [])
})

test('the catalogue has the lineage of every feature: source column → feature → service', async (context) => {
  const { registry } = await openRegistry(context)
  const entries = await registry.catalog()
  const entry = (name: string) => entries.find((other) => other.name === name)
  assert.deepEqual(entry('payments')?.readBy, ['view:card_spend'])
  assert.deepEqual(entry('card_spend')?.readBy, ['service:fraud'])
  const field = (of: string, name: string) => entry(of)?.fields.find((other) => other.name === name)
  assert.deepEqual(field('card_spend', 'card_spend__last_merchant'), {
    name: 'card_spend__last_merchant',
    type: 'string',
    computed: 'last(merchant) over lifetime',
    from: ['payments.merchant', 'payments.amount'],
    readBy: ['fraud'],
  })
  assert.deepEqual(field('card_spend', 'card_spend__spend_mean_7d')?.from, ['payments.amount'])
  assert.deepEqual(field('fraud', 'amount_vs_mean')?.from, ['amount', 'card_spend__spend_mean_7d'])
  assert.deepEqual(field('fraud', 'amount')?.readBy, ['amount_vs_mean'])
})
