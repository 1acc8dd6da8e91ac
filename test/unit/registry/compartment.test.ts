import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadBundle } from '../../../registry/compartment.ts'
import { Random, runSeed } from '../../support/random.ts'

/** What a function body gives for `f`, in the compartment. */
function run(body: string, f: object = {}): unknown {
  const [fn] = loadBundle(`var tidemarkBundle = { functions: [(f) => { ${body} }] };`, 'test')
  return fn(f)
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

test('user functions find nothing that differs between engines: neither globals nor methods that only newer ones have', () => {
  const absent =
    'Date Intl Temporal WeakRef Float16Array SharedArrayBuffer DisposableStack WebAssembly console Promise eval escape'
  for (const name of absent.split(' ')) assert.equal(run(`return typeof ${name}`), 'undefined', name)
  for (const path of ['Error.isError', 'RegExp.escape', 'Uint8Array.fromBase64', 'DataView.prototype.getFloat16'])
    assert.equal(run(`return typeof ${path}`), 'undefined', path)
  for (const method of ['localeCompare', 'normalize', 'toLocaleUpperCase', 'toLocaleString'])
    assert.equal(run(`return typeof ''.${method}`), 'undefined', method)
})

test('case is the kernel’s own; so are digits in other bases: of whole numbers only', () => {
  assert.equal(run("return 'straße Σ'.toUpperCase() + 'ÉΣ'.toLowerCase()"), 'STRASSE Σéσ')
  assert.equal(
    run('return (255).toString(16) + (-8).toString(2) + (0.5).toString() + 1e21.toString(10) + 10n.toString(2)'),
    'ff-10000.51e+211010',
  )
  for (const body of ['return (0.5).toString(2)', 'return (2 ** 60).toString(7)', 'return NaN.toString(3)'])
    assert.throws(() => run(body), { name: 'TypeError', message: /whole numbers/ }, body)
})

test('patterns made at run time keep the rules of those that are read', () => {
  assert.equal(run("return new RegExp('[a-z]+', 'gi').exec('é Ab')[0]"), 'Ab')
  assert.equal(run('return /a/ instanceof RegExp && new RegExp(/a/g).flags'), 'g')
  for (const made of [String.raw`new RegExp('\\p{L}', 'u')`, "RegExp('é', 'i')"])
    assert.throws(() => run(`return ${made}.test('x')`), { name: 'TypeError', message: /Unicode version/ }, made)
})

test('sort gives what the language says, and one order for comparators that contradict themselves', () => {
  const random = new Random(runSeed('sort in the compartment'))
  for (let round = 0; round < 200; round++) {
    const list = Array.from({ length: random.below(30) }, (_, i) => ({ key: random.below(6), i }))
    const by = (a: { key: number }, b: { key: number }): number => a.key - b.key
    const sorted = run(
      'return JSON.stringify([f.list.slice().sort((a, b) => a.key - b.key), f.list.toSorted((a, b) => a.key - b.key)])',
      { list },
    )
    assert.equal(sorted, JSON.stringify([[...list].sort(by), list.toSorted(by)]))
    const numbers = Array.from({ length: random.below(20) }, () => random.below(9) - 4)
    assert.equal(
      run(
        'return JSON.stringify([f.n.slice().sort(), [...Float64Array.from(f.n).sort((a, b) => b - a)], [...Int8Array.from(f.n).toSorted()]])',
        { n: numbers },
      ),
      JSON.stringify([
        numbers.map(String).sort(compareText).map(Number),
        [...numbers].sort((a, b) => b - a),
        [...Int8Array.from(numbers).sort()],
      ]),
    )
  }
  assert.equal(
    run(
      'const a = [3, , undefined, 1]; a.sort((x, y) => x - y); return a.length + String(a[0]) + a[1] + (2 in a) + (3 in a)',
    ),
    '413truefalse',
  )
  assert.equal(run('return [3, , undefined, 1].toSorted((x, y) => x - y).length'), 4)
  assert.throws(() => run('return [1].sort(3)'), { name: 'TypeError' })
  // No order: what comes out follows from the kernel's own merge sort, whatever the engine has.
  assert.equal(run('return [5, 1, 4, 2, 3].sort((a, b) => a > b).join()'), '1,2,3,4,5')
  assert.equal(run('return [5, 1, 4, 2, 3].sort(() => -1).join()'), '5,1,4,2,3')
})
