import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createColumnBuilder } from '../../../features/kernel/function-results.ts'
import { StateTable } from '../../../features/kernel/state-table.ts'
import { sweep } from '../../../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../../../features/kernel/view-kernel.ts'
import { windowInterval } from '../../../features/kernel/window-interval.ts'
import { Random, runSeed } from '../../support/random.ts'
import { feature, HOUR, MINUTE, sliding, testView } from '../../support/view-plans.ts'

test('an interval holds exactly the events that state and sweep count in the window: both its ends, to the millisecond', () => {
  const random = new Random(runSeed('window interval'))
  for (let round = 0; round < 300; round++) {
    const windows = Array.from({ length: 4 }, () => {
      const hop = random.pick([1, 7, 1000, MINUTE, 15 * MINUTE, HOUR])
      return sliding(hop * (1 + random.below(30)), hop)
    })
    const kernel = new ViewKernel(
      testView(windows.map((window, i) => feature(`n${i}`, { kind: 'count', input: null }, window))),
    )
    const t = random.pick([1_000_000_000_000, 0, -5_000_000_000]) + random.below(48 * HOUR)
    const intervals = windows.map((window) => windowInterval({ window }, t)!)
    const edges = intervals.flatMap(([from, to]) => [
      from - 1,
      from,
      from + 1,
      to - 2,
      to - 1,
      from + random.below(to - from),
    ])
    const times = random.shuffle(edges.filter((time) => time < t))
    const tau = Float64Array.from(times)
    const columns = kernel.view.plan.source.fields.map(({ type, name }) => {
      const builder = createColumnBuilder(type, times.length)
      times.forEach((time, i) => builder.set(i, name === 'at' ? time : name === 'amount' ? 1 : 'k'))
      return builder.finish()
    })
    const index = new Int32Array(times.length)
    const offset = Float64Array.from(times, (_, i) => i)
    const prepared = kernel.prepare({ length: times.length, columns, eventTime: tau, arrival: tau, tau, offset, index })
    const table = new StateTable(kernel)
    const slot = table.open()
    table.apply(prepared, new Int32Array(times.length).fill(slot))
    const streamed = createResultColumns(kernel.view, 1)
    table.evaluate(slot, t, streamed, 0)
    const swept = sweep(kernel, {
      prepared,
      groups: 1,
      eventStart: Int32Array.of(0, times.length),
      rowStart: Int32Array.of(0, 1),
      visible: Int32Array.of(times.length),
      t: Float64Array.of(t),
    })
    intervals.forEach(([from, to], w) => {
      assert.equal(to, t)
      const within = times.filter((time) => time >= from && time < to).length
      for (const out of [streamed, swept])
        assert.equal(out[w].storage === 'numbers' && out[w].numbers[0], within, `${JSON.stringify(windows[w])} at ${t}`)
    })
  }
})

test('a lifetime has no interval', () => {
  assert.equal(windowInterval({ window: { kind: 'lifetime' } }, 5), null)
})
