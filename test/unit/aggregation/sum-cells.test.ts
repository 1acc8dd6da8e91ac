import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SumCells } from '../../../features/aggregation/sum-cells.ts'
import { ByteReader } from '../../../features/values/byte-reader.ts'
import { ByteWriter } from '../../../features/values/byte-writer.ts'
import type { SlotInput } from '../../../features/aggregation/cells.ts'
import { Random, runSeed } from '../../support/random.ts'

const CASES = Number(process.env.TIDEMARK_LAW_CASES ?? 60) * 20
const CELLS = 4
const view = new DataView(new ArrayBuffer(8))

/** value · 2^1074, from its bits. */
function units(value: number): bigint {
  view.setFloat64(0, value)
  const bits = view.getBigUint64(0)
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const magnitude = exponent === 0 ? fraction : (fraction + 2n ** 52n) << BigInt(exponent - 1)
  return bits >> 63n === 1n ? -magnitude : magnitude
}

/** The double nearest to total · 2^−1074, ties to the even one, found by bisection over all doubles. */
function nearest(total: bigint): number {
  const magnitude = total < 0n ? -total : total
  let low = 0n
  let high = 0x7ff0000000000000n
  const double = (bits: bigint): number => {
    view.setBigUint64(0, bits)
    return view.getFloat64(0)
  }
  const unitsOf = (bits: bigint): bigint => (bits === 0x7ff0000000000000n ? 2n ** 2098n : units(double(bits)))
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (unitsOf(middle) <= magnitude) low = middle
    else high = middle
  }
  const below = magnitude - unitsOf(low)
  const above = unitsOf(high) - magnitude
  const bits = below < above || (below === above && (low & 1n) === 0n) ? low : high
  return total < 0n ? -double(bits) + 0 : double(bits)
}

/** Level of the canonical bytes and the doubles in them, from the exact total alone. */
function expectedParts(total: bigint): { level: number; high: number; low: number } {
  const high = nearest(total)
  if (!Number.isFinite(high)) return { level: 2, high, low: NaN }
  const rest = total - units(high)
  const low = nearest(rest)
  if (units(low) !== rest) return { level: 2, high, low: NaN }
  return { level: low === 0 ? 0 : 1, high, low }
}

function randomDouble(random: Random, exponents: readonly [number, number]): number {
  const [from, to] = exponents
  const mantissa = random.pick([1, 1, 2 ** 52, 2 ** 53 - 1, 1 + random.below(2 ** 20), 2 ** 52 + random.below(2 ** 32)])
  const value = mantissa * 2 ** (from + random.below(to - from + 1))
  return (random.below(2) === 0 ? value : -value) + 0
}

function add(cells: SumCells, cell: number, values: readonly number[]): void {
  const column = {
    storage: 'number',
    type: { kind: 'float64' },
    values: Float64Array.from(values),
    nulls: null,
  } as const
  const none = new Float64Array(0)
  const input: SlotInput = { column, tau: none, offset: none, index: new Int32Array(0), bucket: null }
  cells.update(new Int32Array(values.length).fill(cell), input, 0, values.length)
}

function bytesOf(cells: SumCells, cell: number): Uint8Array {
  const writer = new ByteWriter()
  cells.encode(cell, writer)
  return writer.finish()
}

function checkCell(cells: SumCells, cell: number, n: number, total: bigint): void {
  const { level, high, low } = expectedParts(total)
  const before = cells.rounded(cell)
  const bytes = bytesOf(cells, cell)
  const reader = new ByteReader(bytes)
  assert.equal(reader.varint(), n)
  if (n === 0) return assert.equal(reader.remaining, 0)
  assert.ok(Object.is(before, high), `rounded once: ${before}, expected ${high}`)
  assert.equal(reader.u8(), level)
  if (level === 2) return
  assert.ok(Object.is(reader.f64(), high))
  if (level === 1) assert.equal(reader.f64(), low)
  assert.equal(reader.remaining, 0)
}

test('updates, merges, exact subtraction and restarts: bytes and rounded value are those of the exact total', () => {
  const seed = runSeed('sum cells')
  for (let i = 0; i < CASES; i++) {
    const random = new Random(seed + i)
    const exponents = random.pick([
      [-30, 30],
      [-60, -50],
      [-110, 0],
      [-1074, -1000],
      [940, 970],
      [-1074, 970],
    ] as const)
    const cells = new SumCells()
    cells.grow(CELLS)
    const totals = Array.from({ length: CELLS }, () => 0n)
    const counts = Array.from({ length: CELLS }, () => 0)
    for (let step = 0; step < 12; step++) {
      const cell = random.below(CELLS)
      const other = (cell + 1 + random.below(CELLS - 1)) % CELLS
      switch (random.below(4)) {
        case 0: {
          const values = Array.from({ length: 1 + random.below(5) }, () => randomDouble(random, exponents))
          add(cells, cell, values)
          for (const value of values) totals[cell] += units(value)
          counts[cell] += values.length
          break
        }
        case 1:
          cells.mergeRun(cell, cells, other, other + 1)
          totals[cell] += totals[other]
          counts[cell] += counts[other]
          break
        case 2: {
          const reloaded = new SumCells()
          reloaded.grow(1)
          reloaded.decode(0, new ByteReader(bytesOf(cells, cell)))
          cells.clear(cell, cell + 1)
          cells.mergeRun(cell, reloaded, 0, 1)
          break
        }
        default:
          if (counts[cell] < counts[other]) break
          cells.subtract(cell, cells, other)
          totals[cell] = counts[cell] === counts[other] ? 0n : totals[cell] - totals[other]
          counts[cell] -= counts[other]
      }
      try {
        checkCell(cells, cell, counts[cell], totals[cell])
      } catch (error) {
        throw new Error(`case ${i} of seed ${seed}, step ${step}: ${String(error)}`, { cause: error })
      }
    }
  }
})

test('ties of two doubles go to the even one, and a pair beyond the doubles is wide', () => {
  const cases: readonly (readonly [readonly number[], number, number])[] = [
    [[2 ** 53, 1], 2 ** 53, 1],
    [[2 ** 53 + 2, 1], 2 ** 53 + 4, 1],
    [[1, 2 ** 53, 2 ** -1074], 2 ** 53 + 2, 2],
    [[Number.MAX_VALUE, 2 ** 969], Number.MAX_VALUE, 1],
    [[Number.MAX_VALUE, 2 ** 970], Infinity, 2],
    [[0.1, 0.2], 0.30000000000000004, 1],
    [[0.1, -0.1], 0, 0],
  ]
  for (const [values, rounded, level] of cases) {
    const cells = new SumCells()
    cells.grow(1)
    add(cells, 0, values)
    assert.ok(Object.is(cells.rounded(0), rounded), `Σ ${values.join(' + ')}`)
    assert.equal(bytesOf(cells, 0)[1], level, `Σ ${values.join(' + ')}`)
  }
})
