import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { compileProject } from '../../../registry/compile-project.ts'
import { loadBundle } from '../../../registry/compartment.ts'
import { temporaryProject } from '../../support/project.ts'

const HEAD = `import { countWhere, entity, featureService, featureView, lastN, stream, sum, t } from 'tidemark'
const card = entity('card', { card_id: t.string() })
const payments = stream('payments', { schema: { card_id: t.string(), amount: t.float64(), paid_at: t.timestamp() }, eventTime: 'paid_at' })
`

async function compile(context: TestContext, outside: string, fn: string): Promise<string> {
  const text = `${HEAD}${outside}\nexport const spend = featureView('spend', { entity: card, from: payments, features: { a: sum(${fn}).over('1h') } })\n`
  const candidates = await compileProject(temporaryProject(context, { 'features/spend.ts': text }))
  return candidates.find(({ kind }) => kind === 'view')?.code ?? ''
}

/** What stands outside of the function, the function, and what is said. */
const REFUSED: readonly [outside: string, fn: string, says: RegExp][] = [
  ['const seen = new Set()', '(e) => { seen.add(e.amount); return seen.size }', /seen\.add\(…\), which stands outside/],
  ['const seen = new Map()', '(e) => seen.set(e.card_id, 1).size', /seen\.set\(…\)/],
  ['const list: number[] = []', '(e) => list.push(e.amount)', /list\.push\(…\)/],
  ['const list = [3, 1, 2]', '(e) => list.sort()[0]', /list\.sort\(…\)/],
  ['const memory = { deep: { list: [] as number[] } }', '(e) => memory.deep.list.push(1)', /memory\.push\(…\)/],
  ['const memory: { n?: number } = { n: 1 }', '(e) => { delete memory.n; return 1 }', /memory = …/],
  [
    'const memory = {}',
    '(e) => Object.keys(Object.assign(memory, { [e.card_id]: 1 })).length',
    /Object\.assign\(memory, …\)/,
  ],
  ['const pattern = /c/g', '(e) => pattern.test(e.card_id) ? 1 : 0', /pattern\.test\(…\) \(a pattern with flag g or y/],
  [
    'function* count() { let n = 0; for (;;) yield n++ }\nconst counter = count()',
    '(e) => counter.next().value',
    /counter\.next\(…\)/,
  ],
  ['class Counter { n = 0; next() { return ++this.n } }\nconst c = new Counter()', '(e) => c.next()', /this\.… = …/],
  ['class Counter { #n = 0; up() { return ++this.#n } }\nconst c = new Counter()', '(e) => c.up()', /this\.… = …/],
  ['', 'async (e) => e.amount', /the function of a of view spend is async or a generator/],
  ['', 'function* (e) { yield e.amount }', /the function of a of view spend is async or a generator/],
  [
    '',
    String.raw`(e) => (/^\p{L}+$/u.test(e.card_id) ? 1 : 0)`,
    /uses \\p\{…\} in a pattern.*write the characters out/,
  ],
  ['', '(e) => (/é/i.test(e.card_id) ? 1 : 0)', /uses flag i with é in a pattern/],
  ['', String.raw`(e) => (new RegExp('\\p{L}', 'u').test(e.card_id) ? 1 : 0)`, /uses \\p\{…\} in a pattern/],
  [
    '',
    '(e) => { try { return e.amount } catch (error) { return String(error).length } }',
    /uses a caught error.*catch \{ … \}/,
  ],
  ['', '(e) => e.card_id.normalize().length', /uses normalize\(\)/],
  ['', '(e) => [1, 2].toLocaleString().length', /uses toLocaleString\(\)/],
  // What reading does not show, calling does.
  [
    'const counter = (() => { let n = 0; return () => ++n })()',
    '(e) => counter()',
    /the function of a of view spend gives different values for one argument/,
  ],
  [
    'const make = () => { const box = { n: 0 }; return () => (box.n += 1) }\nconst counter = make()',
    '(e) => counter()',
    /gives different values for one argument/,
  ],
  [
    '',
    '(e) => { while (e.amount > 1) {} return 1 }',
    /the functions of view spend \(a\) do not all return.*loop without end/,
  ],
]
for (const [outside, fn, says] of REFUSED) {
  test(`refused: ${outside} … ${fn}`, async (context) => {
    await assert.rejects(compile(context, outside, fn), (error: Error & { code?: string }) => {
      assert.match(error.message, says)
      assert.match(error.message, /features\/spend\.ts/)
      assert.ok(['TM_FUNCTION_IMPURE', 'TM_DEFINITION_INVALID'].includes(error.code ?? ''), error.code)
      return true
    })
  })
}

const ALLOWED: readonly [outside: string, fn: string][] = [
  ['', '(e) => { try { return e.amount } catch { return 0 } }'],
  ['', '(e) => (/^[a-z]+$/i.test(e.card_id.toLowerCase()) ? 1 : 0)'],
  ['const list = [3, 1, 2]', '(e) => [...list].sort()[0] + list.slice().reverse()[0]'],
  ['const RATES = new Map([["a", 2]])', '(e) => RATES.get(e.card_id) ?? 1'],
  ['const letters = /[a-z]/g', '(e) => e.card_id.replace(letters, "").length'],
  ['', '(e) => { const seen = new Set(); for (const c of e.card_id) seen.add(c); return seen.size }'],
  [
    'class Point { x; constructor(x: number) { this.x = x } twice() { return 2 * this.x } }',
    '(e) => new Point(e.amount).twice()',
  ],
  [
    'function median(values: number[]) { values.sort((a, b) => a - b); return values[0] }',
    '(e) => median([e.amount, 2])',
  ],
]
for (const [outside, fn] of ALLOWED) {
  test(`allowed: ${outside} … ${fn}`, async (context) => {
    await compile(context, outside, fn)
  })
}

test('constants outside of functions are frozen where they run: a change through another name throws', async (context) => {
  const outside = 'const box = { list: [1], map: new Map(), set: new Set() }'
  for (const change of ['b.list.push(2)', 'b.map.set(1, 2)', 'b.set.add(1)', 'b.extra = 1', 'b.list[0] = 5']) {
    const code = await compile(context, outside, `(e) => { const b = box; ${change}; return 1 }`)
    const [fn] = loadBundle(code, 'frozen')
    assert.throws(() => fn({ amount: 1 }), { name: 'TypeError' }, change)
  }
})
