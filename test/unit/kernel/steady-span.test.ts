import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resultValue } from '../../../features/aggregation/result-column.ts'
import { createColumnBuilder } from '../../../features/kernel/function-results.ts'
import { StateTable } from '../../../features/kernel/state-table.ts'
import { steadySpan } from '../../../features/kernel/steady-span.ts'
import { createResultColumns, ViewKernel } from '../../../features/kernel/view-kernel.ts'
import type { CompiledView } from '../../../features/kernel/compiled-view.ts'
import type { EventBatch } from '../../../features/values/event-batch.ts'
import { Random, runSeed } from '../../support/random.ts'
import { feature, HOUR, MINUTE, sliding, testView } from '../../support/view-plans.ts'

const amount = { column: 'amount', type: { kind: 'float64' }, nullable: true } as const
const FEATURES = [
  feature('count_1h', { kind: 'count', input: null }, sliding(HOUR, MINUTE)),
  feature('sum_5m', { kind: 'sum', input: amount }, sliding(5 * MINUTE, MINUTE)),
  feature('mean_1d', { kind: 'mean', input: amount }, sliding(24 * HOUR, 15 * MINUTE)),
  { ...feature('max_40m', { kind: 'max', input: amount }, sliding(40 * MINUTE, 20 * MINUTE)), default: -1 },
]
const LIFETIME = feature('total', { kind: 'sum', input: amount }, { kind: 'lifetime' })
const DECAYED = feature('decayed', { kind: 'decayedSum', input: amount, halfLifeMs: HOUR }, sliding(HOUR, MINUTE))
const START = 1_000_000_000_000

function batchAt(view: CompiledView, times: readonly number[], random: Random): EventBatch {
  const columns = view.plan.source.fields.map((plan) => {
    const builder = createColumnBuilder(plan.type, times.length)
    times.forEach((time, i) =>
      builder.set(i, plan.name === 'at' ? time : plan.name === 'amount' ? random.below(9) / 8 : 'k'),
    )
    return builder.finish()
  })
  const tau = Float64Array.from(times)
  const offset = Float64Array.from(times, (_, i) => i)
  return {
    length: times.length,
    columns,
    eventTime: tau,
    arrival: tau,
    tau,
    offset,
    index: new Int32Array(times.length),
  }
}

test('within a steady span an evaluation gives the same bits; just outside of it the tiles, the ttl or the retention move', () => {
  const random = new Random(runSeed('steady span'))
  let wide = 0
  for (let round = 0; round < 400; round++) {
    const features = [
      ...FEATURES,
      ...(random.below(3) === 0 ? [LIFETIME] : []),
      ...(random.below(4) === 0 ? [DECAYED] : []),
    ]
    const kernel = new ViewKernel(testView(features, { ttlMs: random.pick([null, 30 * MINUTE, 40 * HOUR]) }))
    const table = new StateTable(kernel)
    const slot = table.open()
    const times = Array.from({ length: 1 + random.below(20) }, () => START + random.below(3 * HOUR))
    table.apply(kernel.prepare(batchAt(kernel.view, times, random)), new Int32Array(times.length).fill(slot))
    const newest = Math.max(...times)
    const cellsAt = (t: number): unknown[] => {
      const out = createResultColumns(kernel.view, 1)
      table.evaluate(slot, t, out, 0)
      return out.map((column) => [resultValue(column, 0), column.statuses[0]])
    }
    const t = newest + 1 + random.pick([0, 1, random.below(HOUR), random.below(30 * HOUR), random.below(100 * HOUR)])
    const { from, until } = steadySpan(kernel, newest, t)
    assert.ok(from <= t && t < until && from > newest, `${from} ≤ ${t} < ${until}`)
    if (until - from > 1) wide++
    const expected = cellsAt(t)
    const last = Math.min(until - 1, newest + 400 * HOUR)
    for (const other of [from, last, from + random.below(last - from + 1), from + random.below(last - from + 1)])
      assert.deepEqual(cellsAt(other), expected, `t ${t}, other ${other}, newest ${newest}`)
  }
  assert.ok(wide > 200, `only ${wide} spans are longer than a millisecond`)
})

test('an entity without events is MISSING at any time', () => {
  assert.deepEqual(steadySpan(new ViewKernel(testView(FEATURES)), -Infinity, 5), { from: -Infinity, until: Infinity })
})
