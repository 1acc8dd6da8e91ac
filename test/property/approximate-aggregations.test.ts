import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exp2, ln } from '../../features/exact/elementary.ts'
import type { Value } from '../../features/plan/field-type.ts'
import type { AggregationPlan } from '../../features/plan/view-plan.ts'
import { murmur3 } from '../../features/aggregation/value-hash.ts'
import { direct, readCell, subject } from '../support/aggregation-cells.ts'
import { Random, runSeed } from '../support/random.ts'

const T = 1_000_000_000_000

function valueOf(plan: AggregationPlan, values: readonly Value[], taus: readonly number[] = [], t: number = T): Value {
  const tried = subject(plan)
  const events = values.map((value, i) => ({ tau: taus[i] ?? T - 1, offset: i, index: 0, value, bucket: null }))
  return readCell(tried, direct(tried, events), 0, t).value
}

test('quantile: within the relative error of the value of its rank', () => {
  const random = new Random(runSeed('quantile'))
  const relativeError = 0.01
  for (let i = 0; i < 100; i++) {
    const spread = random.pick([1, 10, 600])
    const values = Array.from({ length: 1 + random.below(300) }, () => {
      const magnitude = 10 ** ((random.next() - 0.5) * spread)
      return random.pick([magnitude, -magnitude, 0])
    })
    const sorted = [...values].sort((a, b) => a - b)
    const input = { column: 'value', type: { kind: 'float64' }, nullable: true } as const
    for (const q of [0, 0.01, 0.5, 0.9, 1]) {
      const found = Number(valueOf({ kind: 'quantile', input, q, relativeError, maxBuckets: 2048 }, values))
      const wanted = sorted[Math.floor(1 + q * (values.length - 1)) - 1]
      assert.ok(Math.abs(found - wanted) <= relativeError * (1 + 1e-9) * Math.abs(wanted), `${q}: ${found}, ${wanted}`)
    }
  }
})

test('quantile: the lowest values count in the lowest bucket that is kept', () => {
  const input = { column: 'value', type: { kind: 'float64' }, nullable: true } as const
  const values = [-5, 0, 0.001, 1, 1, 10, 100, 1000]
  const found = [0, 0.6, 0.72, 0.9, 1].map((q) =>
    Number(valueOf({ kind: 'quantile', input, q, relativeError: 0.01, maxBuckets: 3 }, values)),
  )
  // Kept: 10, 100, 1000; the five values below them count as 10.
  for (const [i, wanted] of [10, 10, 10, 100, 1000].entries())
    assert.ok(Math.abs(found[i] - wanted) <= 0.0101 * wanted, `${found[i]}, ${wanted}`)
})

/** One estimate may be far off; that sixteen are, on the average, has a probability below 10⁻¹². */
test('approxDistinctCount: over sixteen sets the root mean square error is within two and a half standard errors', () => {
  const random = new Random(runSeed('approxDistinctCount'))
  const input = { column: 'value', type: { kind: 'string' }, nullable: true } as const
  for (const distinct of [1, 10, 500, 3000, 20_000]) {
    const squares = Array.from({ length: 16 }, () => {
      const salt = random.below(1e9)
      const values = Array.from({ length: distinct }, (_, i) => `${salt}-${i}`)
      const found = Number(valueOf({ kind: 'approxDistinctCount', input, precision: 12 }, values))
      return (found - distinct) ** 2
    })
    const error = Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length)
    assert.ok(error <= Math.max(1, (distinct * 2.5 * 1.04) / 64), `${error} for ${distinct}`)
  }
})

test('decayedSum: near Σ x · 2^−((t − τ) / halfLife)', () => {
  const random = new Random(runSeed('decayedSum'))
  const input = { column: 'value', type: { kind: 'float64' }, nullable: true } as const
  for (let i = 0; i < 200; i++) {
    const halfLifeMs = random.pick([10, 1000, 86_400_000])
    const taus = Array.from({ length: 1 + random.below(40) }, () => T - 1 - random.below(20 * halfLifeMs))
    const values = taus.map(() => random.next() * 100)
    const expected = taus.reduce((total, tau, k) => total + values[k] * 2 ** (-(T - tau) / halfLifeMs), 0)
    const found = Number(valueOf({ kind: 'decayedSum', input, halfLifeMs }, values, taus))
    assert.ok(Math.abs(found - expected) <= 1e-13 * expected, `${found}, ${expected}`)
  }
})

test('vectorMean is exact per component and rounded once to float32', () => {
  const input = { column: 'value', type: { kind: 'vector', length: 2 }, nullable: true } as const
  const vectors = [
    [16777216, 3e38],
    [1, 3e38],
    [1, -3e38],
  ].map((items) => Float32Array.from(items))
  assert.deepEqual(valueOf({ kind: 'vectorSum', input }, vectors), Float32Array.from([16777218, 3e38]))
  assert.deepEqual(
    valueOf({ kind: 'vectorMean', input }, vectors),
    Float32Array.from([16777218 / 3, Math.fround(3e38) / 3]),
  )
  assert.equal(valueOf({ kind: 'vectorSum', input }, [vectors[0], vectors[1]]), null)
})

test('ln and exp2 are close to the engine’s, the hash is MurmurHash3', () => {
  const random = new Random(runSeed('elementary'))
  for (let i = 0; i < 5000; i++) {
    const x = 10 ** ((random.next() - 0.5) * 600)
    assert.ok(Math.abs(ln(x) - Math.log(x)) <= 1e-15 * Math.max(1, Math.abs(Math.log(x))), `ln ${x}`)
    const y = random.next()
    assert.ok(Math.abs(exp2(y) - 2 ** y) <= 1e-15, `exp2 ${y}`)
  }
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
  assert.equal(murmur3(bytes(''), 0, 0), 0)
  assert.equal(murmur3(bytes('hello'), 5, 0), 0x248bfa47)
  assert.equal(murmur3(bytes('hello, world'), 12, 0), 0x149bbb7f)
})
