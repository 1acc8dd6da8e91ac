import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { PURE_FUNCTIONS } from '../../../features/exact/pure-math.ts'
import { KERNEL_VERSION } from '../../../features/plan/view-plan.ts'
import { ARGUMENTS, proveFunction } from '../../proofs/pure-math.ts'
import { Random, runSeed } from '../../support/random.ts'

const CASES = Number(process.env.TIDEMARK_MATH_CASES ?? 40)

for (const name of Object.keys(PURE_FUNCTIONS)) {
  test(`${name} is the double nearest to the true value`, () => {
    proveFunction(name, { rounds: CASES, seed: runSeed(`Math.${name}`) })
  })
}

test('integer powers are rounded once, ties to even', () => {
  for (const [x, y] of [
    [3, 33],
    [3, 34],
    [3, 40],
    [7, 19],
    [94906267, 2],
    [2 ** 27 + 1, 2],
    [134217729, 3],
    [10, 22],
    [10, 23],
    [5, 27],
    [1.5, 40],
    [208063, 3],
  ]) {
    const scale = x === 1.5 ? 1n : 0n
    const exact = BigInt(x * 2 ** Number(scale)) ** BigInt(y)
    assert.equal(PURE_FUNCTIONS.pow(x, y), Number(exact) / 2 ** (Number(scale) * y), `${x} ** ${y}`)
  }
  assert.equal(PURE_FUNCTIONS.pow(4, 1.5), 8)
  assert.equal(PURE_FUNCTIONS.pow(81, 0.75), 27)
  assert.equal(PURE_FUNCTIONS.pow(2, -1074), 5e-324)
  assert.equal(PURE_FUNCTIONS.pow(2, -1075), 0)
  assert.equal(PURE_FUNCTIONS.pow(2, 1024), Infinity)
  assert.equal(PURE_FUNCTIONS.pow(2, 0.5), Math.SQRT2)
})

/** Just beside a boundary between two doubles, subnormal, at the ends of the range, far from zero. From mpmath 1.3 with 4,000 bits. */
const HARD: readonly [name: string, result: number, ...args: number[]][] = [
  ['cosh', 1.0000000000000002, 1.4901161193847656e-8],
  ['exp', 5e-324, -745.1332191019411],
  ['exp', 0, -745.1332191019412],
  ['exp', 1.7976931348622732e308, 709.782712893384],
  ['exp', Infinity, 709.7827128933841],
  ['exp', 1.1102230246251652e-16, -36.736800569677094],
  ['sin', 0.5440211108893698, -10],
  ['sin', 0.004961954789184062, Number.MAX_VALUE],
  ['cos', -0.9999876894265599, Number.MAX_VALUE],
  ['tan', -0.004962015874444895, Number.MAX_VALUE],
  ['sin', -0.8522008497671888, 1e22],
  ['tan', 16331239353195370, 1.5707963267948966],
  ['cos', 6.123233995736766e-17, 1.5707963267948966],
  ['cos', -4.687165924254628e-19, 6381956970095103 * 2 ** 797],
]
test('hard cases', () => {
  for (const [name, result, ...args] of HARD)
    assert.equal(PURE_FUNCTIONS[name](...args), result, `${name}(${args.join(', ')})`)
})

/** ECMA-262 §21.3.2, every special value of every function. */
test('special values are those of ECMA-262', () => {
  const values = [
    NaN,
    0,
    -0,
    1,
    -1,
    Infinity,
    -Infinity,
    0.5,
    -0.5,
    2,
    -2,
    3,
    -3,
    5e-324,
    -5e-324,
    2 ** 53,
    -(2 ** 53) - 2,
    1e308,
  ]
  const engine = Math as unknown as Record<string, (...numbers: number[]) => number>
  for (const [name, fn] of Object.entries(PURE_FUNCTIONS)) {
    for (const x of values) {
      for (const y of fn.length === 2 || name === 'hypot' ? values : [undefined]) {
        const args = y === undefined ? [x] : [x, y]
        const [found, expected] = [fn(...args), engine[name](...args)]
        // Zeros, infinities and NaN exactly; other values are the engine's to within its error.
        const special = expected === 0 || !Number.isFinite(expected) || Number.isInteger(expected)
        const equal = special ? Object.is(found, expected) : Math.abs(found - expected) <= 1e-15 * Math.abs(expected)
        assert.ok(equal, `${name}(${args.join(', ')}) is ${expected}, found ${found}`)
      }
    }
  }
  assert.equal(PURE_FUNCTIONS.hypot(), 0)
  assert.equal(PURE_FUNCTIONS.hypot(1, 2, 2), 3)
  assert.equal(PURE_FUNCTIONS.hypot(3 * 2 ** 600, 4 * 2 ** 600), 5 * 2 ** 600)
  assert.equal(PURE_FUNCTIONS.hypot(3 * 2 ** -1074, 4 * 2 ** -1074), 5 * 2 ** -1074)
  assert.equal(PURE_FUNCTIONS.hypot(NaN, Infinity), Infinity)
})

test('the values are part of what a version means: if this hash changes, so must KERNEL_VERSION', () => {
  const hash = createHash('sha256')
  const random = new Random(1)
  for (const name of Object.keys(PURE_FUNCTIONS).sort())
    for (let i = 0; i < 500; i++) hash.update(`${name} ${PURE_FUNCTIONS[name](...ARGUMENTS[name](random))}\n`)
  assert.deepEqual([KERNEL_VERSION, hash.digest('hex').slice(0, 16)], [1, 'efe493d277134da8'])
})
