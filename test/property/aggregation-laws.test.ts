import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FieldType, Value } from '../../features/plan/field-type.ts'
import type { AggregationPlan, InputPlan } from '../../features/plan/view-plan.ts'
import { direct, encodeCell, readCell, scattered, slotInput, subject } from '../support/aggregation-cells.ts'
import type { CellEvent, Subject } from '../support/aggregation-cells.ts'
import { byValue, INVALID, oracleAggregation } from '../support/oracle-aggregations.ts'
import type { OracleValue } from '../support/oracle-aggregations.ts'
import { Random, runSeed } from '../support/random.ts'

const CASES = Number(process.env.TIDEMARK_LAW_CASES ?? 60)
const DOUBLES = [0, 0.1, 0.2, 1, -1, 1e16, -1e16, 2 ** 53 + 2, 2 ** 53 - 1, 5e-324, -5e-324, 1e308, -1e308, 12.57, 3]
const CENTS = [0.01, 0.1, 99.99, 1234.56, 999_999.99, -0.05, 1e7 + 0.01, 7]
/** Sums of two doubles, ties of their rounding, and what neither holds. */
const PAIRS = [2 ** 53, 1, -1, 2 ** 53 + 2, 2 ** -52, 2 ** -53, 2 ** -105, -(2 ** -106), 2 ** 106, 3 * 2 ** 52]
const EDGES = [Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 970, -(2 ** 970), 2 ** 969, 5e-324, 2 ** -1022, 1, 2 ** 1023]
const TAME = [0, 0.1, 0.2, 1, -1, 2.5, 12.57, 3, 1e16, -7, 100]
const INTEGERS = [0n, 1n, -1n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, 77n]
const STRINGS = ['', 'a', 'b', 'ab', 'ü', '\u{ffff}', '\u{1f600}', 'z']
const VECTORS = [
  [0, 1, -1],
  [0.5, 1e38, 2 ** -149],
  [16777216, -1e38, 0.25],
  [1, 2, 3],
].map((items) => Float32Array.from(items))

const input = (type: FieldType): InputPlan => ({ column: 'value', type, nullable: true })
const f64 = input({ kind: 'float64' })
const i64 = input({ kind: 'int64' })
const i32 = input({ kind: 'int32' })
const text = input({ kind: 'string' })
const bool = input({ kind: 'bool' })
const bytes = input({ kind: 'bytes' })
const vector = input({ kind: 'vector', length: 3 })
const BYTES = [[], [0], [255, 1], [128]].map((items) => Uint8Array.from(items))

/** Judged value by value. */
const EXACT: readonly (readonly [AggregationPlan, readonly Value[]])[] = [
  [{ kind: 'count', input: null }, DOUBLES],
  [{ kind: 'countWhere', input: bool }, [true, false]],
  [{ kind: 'sum', input: f64 }, DOUBLES],
  [{ kind: 'sum', input: f64 }, [1e308, -1e308, 5e-324, 1e292]],
  [{ kind: 'sum', input: f64 }, CENTS],
  [{ kind: 'sum', input: f64 }, PAIRS],
  [{ kind: 'sum', input: f64 }, EDGES],
  [{ kind: 'mean', input: f64 }, PAIRS],
  [{ kind: 'sum', input: i64 }, INTEGERS],
  [{ kind: 'mean', input: f64 }, DOUBLES],
  [{ kind: 'mean', input: i64 }, INTEGERS],
  [{ kind: 'min', input: f64 }, DOUBLES],
  [{ kind: 'max', input: f64 }, DOUBLES],
  [{ kind: 'min', input: i64 }, INTEGERS],
  [{ kind: 'max', input: i64 }, INTEGERS],
  [{ kind: 'any', input: bool }, [true, false]],
  [{ kind: 'all', input: bool }, [true, false]],
  [{ kind: 'first', input: text }, STRINGS],
  [{ kind: 'last', input: i64 }, INTEGERS],
  [{ kind: 'latest', input: f64 }, [...DOUBLES, null]],
  [{ kind: 'variance', input: f64, sample: false }, TAME],
  [{ kind: 'variance', input: f64, sample: true }, DOUBLES],
  [{ kind: 'stddev', input: f64, sample: false }, DOUBLES],
  [{ kind: 'stddev', input: f64, sample: true }, [5e-324, 1e-323, 0]],
  [{ kind: 'stddev', input: i64, sample: true }, INTEGERS],
  [{ kind: 'skewness', input: f64 }, TAME],
  [{ kind: 'skewness', input: i32 }, [1, -2, 3]],
  [{ kind: 'kurtosis', input: f64 }, DOUBLES],
  [{ kind: 'kurtosis', input: f64 }, TAME],
  [{ kind: 'firstN', input: f64, n: 3 }, DOUBLES],
  [{ kind: 'lastN', input: text, n: 4 }, STRINGS],
  [{ kind: 'topN', input: f64, n: 3 }, DOUBLES],
  [{ kind: 'bottomN', input: text, n: 5 }, STRINGS],
  [{ kind: 'topN', input: i64, n: 2 }, INTEGERS],
  [{ kind: 'distinctCount', input: text, limit: 4 }, STRINGS],
  [{ kind: 'distinctCount', input: f64, limit: 100 }, DOUBLES],
  [{ kind: 'valueCounts', input: text, limit: 3 }, STRINGS],
  [{ kind: 'valueCounts', input: i64, limit: 50 }, INTEGERS],
  [{ kind: 'histogram', input: f64, edges: [-1, 0, 0.1, 100] }, DOUBLES],
  [{ kind: 'histogram', input: i64, edges: [0, 2 ** 53] }, INTEGERS],
]

/** Judged by their laws here and by their bounds below. */
const OTHER: readonly (readonly [AggregationPlan, readonly Value[]])[] = [
  [{ kind: 'valueCounts', input: bytes, limit: 3 }, BYTES],
  [{ kind: 'lastN', input: vector, n: 2 }, VECTORS],
  [{ kind: 'approxDistinctCount', input: text, precision: 5 }, STRINGS],
  [{ kind: 'approxDistinctCount', input: f64, precision: 4 }, DOUBLES],
  [{ kind: 'quantile', input: f64, q: 0.5, relativeError: 0.01, maxBuckets: 4 }, DOUBLES],
  [{ kind: 'quantile', input: i64, q: 0.9, relativeError: 0.05, maxBuckets: 2048 }, INTEGERS],
  [{ kind: 'vectorSum', input: vector }, VECTORS],
  [{ kind: 'vectorMean', input: vector }, VECTORS],
  [{ kind: 'decayedSum', input: f64, halfLifeMs: 700 }, DOUBLES],
  [{ kind: 'decayedSum', input: i64, halfLifeMs: 3 }, INTEGERS],
  [{ kind: 'decayedCount', input: null, halfLifeMs: 60_000 }, DOUBLES],
]

function randomEvents(random: Random, values: readonly Value[], most: number = 30): CellEvent[] {
  return Array.from({ length: random.below(most) }, (_, i) => ({
    tau: 1_000_000_000_000 + random.pick([0, 1, random.below(5000)]),
    offset: i >> 2,
    index: i & 3,
    value: random.pick(values),
    bucket: random.pick(STRINGS),
  }))
}

function checkLaws(tried: Subject, events: readonly CellEvent[], random: Random) {
  const t = 1_000_000_010_000
  const one = direct(tried, events)
  const expected = encodeCell(one, 0)
  const read = readCell(tried, one, 0, t)
  for (let i = 0; i < 3; i++) {
    const other = scattered(tried, events, random)
    assert.deepEqual(encodeCell(other, 0), expected)
    assert.deepEqual(readCell(tried, other, 0, t), read)
  }
  checkInverse(tried, events, random, t)
  return read
}

function checkInverse(tried: Subject, events: readonly CellEvent[], random: Random, t: number): void {
  const cells = tried.aggregator.slot.create()
  if (cells.subtract === undefined) return
  const split = random.below(events.length + 1)
  cells.grow(3)
  cells.update(
    Int32Array.from(events, (_, i) => (i < split ? 0 : 1)),
    slotInput(tried, events),
    0,
    events.length,
  )
  cells.mergeRun(2, cells, 0, 2)
  cells.subtract(2, cells, 0)
  const left = direct(tried, events.slice(split))
  assert.deepEqual(readCell(tried, cells, 2, t), readCell(tried, left, 0, t), 'subtract undoes mergeRun')
  assert.deepEqual(encodeCell(cells, 2), encodeCell(left, 0), 'subtract undoes mergeRun')
}

function cellOf(kind: AggregationPlan['kind'], value: OracleValue) {
  const counts = kind === 'count' || kind === 'countWhere' || kind === 'distinctCount'
  if (counts && value === 0) return { value: 0, status: 'EMPTY_WINDOW' }
  if (value === undefined) return { value: null, status: 'EMPTY_WINDOW' }
  if (value === INVALID) return { value: null, status: 'INVALID' }
  return { value, status: 'PRESENT' }
}

function forCases(name: string, check: (random: Random) => void): void {
  const seed = runSeed(name)
  for (let i = 0; i < CASES; i++) {
    try {
      check(new Random(seed + i))
    } catch (error) {
      throw new Error(`case ${i} of seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
}

for (const [number, [plan, values]] of EXACT.entries()) {
  const name = `${number}: ${plan.kind} over ${plan.input?.type.kind ?? 'events'}`
  test(`${name}: any order, split, merge tree and restart give the same bytes; the value is the oracle's`, () => {
    const tried = subject(plan)
    forCases(name, (random) => {
      const events = randomEvents(random, values)
      assert.deepEqual(checkLaws(tried, events, random), cellOf(plan.kind, oracleAggregation(plan, events)))
    })
  })
}

for (const [plan, values] of OTHER) {
  const name = `${plan.kind} over ${plan.input?.type.kind ?? 'events'}`
  test(`${name}: any order, split, merge tree and restart give the same bytes`, () => {
    const tried = subject(plan)
    forCases(name, (random) => void checkLaws(tried, randomEvents(random, values), random))
  })
}

for (const [plan, values] of [EXACT[0], EXACT[2], EXACT[14], EXACT[20], EXACT[36], OTHER[4]]) {
  test(`${plan.kind} by bucket: the same laws, and each bucket is its own aggregation`, () => {
    forCases(`${plan.kind} by bucket`, (random) => {
      const limit = random.pick([1, 3, 100])
      const tried = subject(plan, limit)
      const events = randomEvents(random, values)
      const { value, status } = checkLaws(tried, events, random)
      assert.equal(status, events.length === 0 ? 'EMPTY_WINDOW' : 'PRESENT')
      const keys = [...new Set(events.map(({ bucket }) => bucket))].sort(byValue).slice(0, limit)
      const single = subject(plan)
      const expected = keys.map((key) => {
        const own = events.filter(({ bucket }) => bucket === key)
        return [key, readCell(single, direct(single, own), 0, 1_000_000_010_000).value]
      })
      assert.deepEqual(value === null ? [] : [...(value as ReadonlyMap<Value, Value>)], expected)
    })
  })
}
