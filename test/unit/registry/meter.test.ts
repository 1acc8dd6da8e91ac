import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bundleFunctions } from '../../../registry/bundle.ts'
import { loadBundle, loadUnmetered } from '../../../registry/compartment.ts'
import { DEPTH_MAX, STEPS_MAX, withMeter } from '../../../registry/meter.ts'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { temporaryProject } from '../../support/project.ts'

const HEAD = `import { entity, featureService, featureView, stream, sum, t } from 'tidemark'
const card = entity('card', { card_id: t.string() })
const payments = stream('payments', { schema: { card_id: t.string(), amount: t.float64(), paid_at: t.timestamp() }, eventTime: 'paid_at' })
`

function bundle(context: TestContext, fn: string, outside = ''): Promise<string> {
  const text = `${HEAD}${outside}\nexport const spend = featureView('spend', { entity: card, from: payments, features: { a: sum(${fn}).over('1h') } })\n`
  const folder = temporaryProject(context, { 'features/spend.ts': text })
  return bundleFunctions(join(folder, 'features/spend.ts'), 'spend')
}

const RUNS_ON: readonly [fn: string, outside?: string][] = [
  ['(e) => { for (;;) {} }'],
  ['(e) => { while (e.amount > 0); return 1 }'],
  ['(e) => { let i = 0; do i++; while (true); return i }'],
  ['(e) => { for (;;) try { throw 1 } catch {} }'],
  ['(e) => { try { for (;;) for (;;); } finally { for (;;); } }'],
  ['(e) => { let n = 0; for (const x of (function* () { for (;;) yield 1 })()) n += x; return n }'],
  ['(e) => Array.from({ length: 1e9 }, (_, i) => i).length'],
  ['(e) => down(e.amount)', 'const down = (n) => n < 0 ? n : up(n); const up = (n) => down(n + 1)'],
  [
    '(e) => new Tree(e.amount).size',
    'class Tree { constructor(n) { this.n = n } get size() { return new Tree(this.n).size } }',
  ],
]
for (const [fn, outside] of RUNS_ON)
  test(`comes to an end: ${fn}${outside === undefined ? '' : ` … ${outside}`}`, async (context) => {
    const [run] = loadBundle(await bundle(context, fn, outside), 'test')
    assert.throws(() => run({ amount: 1 }), { name: 'RangeError', message: /^out of steps: more than/ })
  })

const RETURNS: readonly [fn: string, outside?: string][] = [
  ['(e) => { let s = 0; for (let i = 0; i < 10; i++) s += i; return s + e.amount }'],
  ['(e) => { let s = 0; for (const k in { a: 1, b: 2 }) if (k !== "a") continue; else s++; return s }'],
  ['(e) => { outer: for (let i = 0; ; i++) for (let j = 0; j < 3; j++) if (i * j > 4) break outer; return e.amount }'],
  [
    '(e) => [3, 1, 2].sort((a, b) => a - b).map((x) => ({ x, y: (z) => z + x })).reduce((s, { x, y }) => s * 10 + y(x), 0)',
  ],
  [
    '(e) => fact(10) + capped(e.amount)',
    'function fact(n) { return n < 2 ? 1 : n * fact(n - 1) }\nconst capped = (x, most = Math.min(9, 8)) => Math.min(x, most)',
  ],
  [
    '(e) => new Point(e.amount).twice() + Point.zero',
    'class Base { constructor() { this.y = 1 } }\nclass Point extends Base { x; static zero = 0; constructor(x) { super(); this.x = x } twice() { return 2 * this.x * this.y } }',
  ],
  [
    '(e) => { const g = (function* () { let n = 0; while (n < 5) yield n++ })(); let s = 0; for (const x of g) s += x; return s }',
  ],
  ['(e) => e.amount > 1 ? (() => 5)() : (() => { return 6 })()'],
  ['(e) => { switch (e.amount) { case 1: { do { return 2 } while (true) } default: return 3 } }'],
]
for (const [fn, outside] of RETURNS)
  test(`gives what it gives without a meter: ${fn}`, async (context) => {
    const code = await bundle(context, fn, outside)
    assert.notEqual(withMeter(code), code)
    const [metered] = loadBundle(code, 'test')
    const [plain] = loadUnmetered(code)
    for (const amount of [1, 2, 100]) assert.equal(metered({ amount }), plain({ amount }))
    assert.equal(typeof metered({ amount: 1 }), 'number')
  })

test('code that cannot run on is left as it is', async (context) => {
  const code = await bundle(context, '(e) => Math.min(e.amount, 1000)')
  assert.equal(withMeter(code), code)
})

test('the bounds are exact, and every call has them anew', async (context) => {
  const [loop, deep] = [
    loadBundle(await bundle(context, '(e) => { let i = 0; while (i < e.amount) i++; return i }'), 'test')[0],
    loadBundle(
      await bundle(context, '(e) => down(e.amount)', 'function down(n) { return n < 1 ? 0 : 1 + down(n - 1) }'),
      'test',
    )[0],
  ]
  for (let i = 0; i < 3; i++) {
    assert.equal(loop({ amount: STEPS_MAX }), STEPS_MAX)
    assert.throws(() => loop({ amount: STEPS_MAX + 1 }), /more than/)
    assert.equal(deep({ amount: DEPTH_MAX - 2 }), DEPTH_MAX - 2)
    assert.throws(() => deep({ amount: DEPTH_MAX - 1 }), /more than/)
  }
})
