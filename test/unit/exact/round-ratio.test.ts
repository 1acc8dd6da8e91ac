import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLOAT32, integerSqrt, roundRatio, roundSqrtRatio } from '../../../features/exact/round-ratio.ts'
import { nearest, nearestRoot } from '../../support/oracle-aggregations.ts'
import { Random, runSeed } from '../../support/random.ts'

function randomInteger(random: Random): bigint {
  let value = 1n
  for (let words = random.below(6); words >= 0; words--) value = (value << 30n) + BigInt(random.below(2 ** 30))
  return random.pick([value, value >> 20n, value << BigInt(random.below(1200)), 1n << BigInt(random.below(1100))]) + 1n
}

test('a quotient and its square root are rounded once, to nearest, ties to even', () => {
  const random = new Random(runSeed('round ratio'))
  for (let i = 0; i < 1500; i++) {
    const p = randomInteger(random)
    const q = randomInteger(random)
    assert.equal(roundRatio(p, q), nearest(p, q), `${p} / ${q}`)
    assert.equal(roundRatio(-p, q), 0 - nearest(p, q), `-${p} / ${q}`)
    assert.equal(roundSqrtRatio(p, q), nearestRoot(p, q), `√(${p} / ${q})`)
    const root = integerSqrt(p)
    assert.ok(root * root <= p && (root + 1n) * (root + 1n) > p, `√${p}`)
  }
})

test('ties, values a hair beside a tie, subnormals and the ends of the range', () => {
  const odd = 2n ** 53n + 1n
  const far = 1n << 300n
  assert.equal(roundRatio(odd, 1n), 2 ** 53)
  assert.equal(roundRatio(odd + 2n, 1n), 2 ** 53 + 4)
  assert.equal(roundRatio(odd * far + 1n, far), 2 ** 53 + 2)
  assert.equal(roundRatio(odd * far - 1n, far), 2 ** 53)
  assert.equal(roundSqrtRatio(odd * odd, 1n), 2 ** 53)
  assert.equal(roundSqrtRatio(odd * odd * far + 1n, far), 2 ** 53 + 2)
  assert.equal(roundSqrtRatio((odd + 2n) * (odd + 2n) * far - 1n, far), 2 ** 53 + 2)
  assert.equal(roundRatio(1n, 2n ** 1075n), 0)
  assert.equal(roundRatio(3n, 2n ** 1075n), 1e-323)
  assert.equal(roundRatio(far + 1n, far << 1075n), 5e-324)
  assert.equal(roundRatio(2n ** 1024n - 2n ** 970n, 1n), Infinity)
  assert.equal(roundRatio(2n ** 1024n - 2n ** 970n - 1n, 1n), Number.MAX_VALUE)
  assert.equal(roundRatio(2n ** 24n + 1n, 1n, FLOAT32), 2 ** 24)
  assert.equal(roundRatio((2n ** 24n + 1n) * far + 1n, far, FLOAT32), 2 ** 24 + 2)
  assert.equal(roundRatio(2n ** 128n, 1n, FLOAT32), Infinity)
})
