import assert from 'node:assert/strict'
import { resultValue, STATUS_NAMES } from '../../features/aggregation/result-column.ts'
import type { ResultColumn } from '../../features/aggregation/result-column.ts'
import type { StateChange, StateParts } from '../../features/kernel/state-parts.ts'
import { StateTable } from '../../features/kernel/state-table.ts'
import { newestVisibleTau, sweep } from '../../features/kernel/sweep.ts'
import type { SweepInput } from '../../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import { oracleView } from '../support/oracle-view.ts'
import type { OracleEvent } from '../support/oracle-view.ts'
import type { ProofOptions } from './proof-options.ts'
import { Random } from '../support/random.ts'
import { feature, HOUR, MINUTE, sliding, testView } from '../support/view-plans.ts'

const amount = { column: 'amount', type: { kind: 'float64' }, nullable: true } as const
const label = { column: 'label', type: { kind: 'string' }, nullable: true } as const
const LIFETIME = { kind: 'lifetime' } as const

const FEATURES = [
  feature('count_1h', { kind: 'count', input: null }, sliding(HOUR, MINUTE)),
  feature('sum_1h', { kind: 'sum', input: amount }, sliding(HOUR, MINUTE)),
  feature('sum_5m', { kind: 'sum', input: amount }, sliding(5 * MINUTE, MINUTE)),
  feature('mean_1d', { kind: 'mean', input: amount }, sliding(24 * HOUR, 15 * MINUTE)),
  feature('min_1h', { kind: 'min', input: amount }, sliding(HOUR, MINUTE)),
  { ...feature('max_40m', { kind: 'max', input: amount }, sliding(40 * MINUTE, 20 * MINUTE)), default: -1 },
  feature('first_label', { kind: 'first', input: label }, sliding(HOUR, MINUTE)),
  feature('last_label', { kind: 'last', input: label }, sliding(24 * HOUR, 15 * MINUTE)),
]
const LIFETIME_FEATURES = [
  feature('total', { kind: 'sum', input: amount }, LIFETIME),
  feature('latest_label', { kind: 'latest', input: label }, LIFETIME),
  feature('count_all', { kind: 'count', input: null }, LIFETIME),
]
const AMOUNTS = [0, 0.1, 0.2, 1, -1, 1e16, -1e16, 2 ** 53 + 2, 5e-324, -5e-324, 1e308, -1e308, 12.57, 3, null]
const LABELS = ['a', 'b', '', null, 'ü']

/** Random event logs with ties, late, future and null events and restarts: streamed state and export equal the oracle, byte for byte. */
export function prove({ rounds = 100_000, seed }: ProofOptions): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    try {
      checkCase(new Random(seed + i))
    } catch (error) {
      throw new Error(`case ${i} of seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
  return Promise.resolve()
}

/** The same set of events gives the same state bytes in any order, any batches and any restarts. */
export function proveStateBytes({ rounds = 10_000, seed }: ProofOptions): void {
  for (let i = 0; i < rounds; i++) {
    const random = new Random(seed + i)
    const kernel = new ViewKernel(testView([...FEATURES, ...LIFETIME_FEATURES]))
    const events = randomEvents(random)
    if (events.length === 0) continue
    const one = streamed(kernel, events, random)
    const two = streamed(kernel, events, random)
    assert.deepEqual(one.table.encode(one.slot), two.table.encode(two.slot), `case ${i} of seed ${seed}`)
  }
}

function randomEvents(random: Random): OracleEvent[] {
  const spanMs = random.pick([10 * MINUTE, 3 * HOUR, 60 * HOUR])
  let arrival = 1_000_000_000_000
  return Array.from({ length: random.below(60) }, (_, i) => {
    arrival += random.pick([0, 0, 1, random.below(spanMs / 10)])
    const late = random.pick([0, 0, random.below(1000), random.below(spanMs), -random.below(HOUR)])
    const fields = { key: 'k', amount: random.pick(AMOUNTS), label: random.pick(LABELS), at: arrival - late }
    return { tau: Math.min(arrival - late, arrival), arrival, offset: i >> 2, index: i & 3, fields }
  })
}

function batchOf(view: CompiledView, events: readonly OracleEvent[]): EventBatch {
  const columns = view.plan.source.fields.map((plan) => {
    const builder = createColumnBuilder(plan.type, events.length)
    events.forEach((event, i) => builder.set(i, event.fields[plan.name]))
    return builder.finish()
  })
  const numbers = (of: (event: OracleEvent) => number): Float64Array => Float64Array.from(events, of)
  return {
    length: events.length,
    columns,
    eventTime: numbers((event) => Number(event.fields.at)),
    arrival: numbers((event) => event.arrival),
    tau: numbers((event) => event.tau),
    offset: numbers((event) => event.offset),
    index: Int32Array.from(events, (event) => event.index),
  }
}

function cellsOf(out: readonly ResultColumn[], row: number) {
  return out.map((column) => ({ value: resultValue(column, row), status: STATUS_NAMES[column.statuses[row]] }))
}

/** Applies the events in random order and batches, with encode/decode restarts in between; returns a table and slot. */
function streamed(
  kernel: ViewKernel,
  events: readonly OracleEvent[],
  random: Random,
): { table: StateTable; slot: number } {
  let table = new StateTable(kernel)
  let slot = table.open()
  let stored: StateParts | null = null
  const shuffled = random.shuffle(events)
  for (let at = 0; at < shuffled.length;) {
    const batch = shuffled.slice(at, (at += 1 + random.below(9)))
    table.apply(kernel.prepare(batchOf(kernel.view, batch)), new Int32Array(batch.length).fill(slot))
    if (table.newestTau(slot) === -Infinity || random.below(3) > 0) continue
    const whole = table.encode(slot)
    stored = storedParts(stored, table.encodeChange(slot))
    table.markStored(slot)
    assert.deepEqual(stored, whole, 'the parts in the store are those of the whole state')
    if (random.below(2) === 0) continue
    table = new StateTable(kernel)
    slot = table.open()
    table.decode(slot, stored)
    assert.deepEqual(table.encode(slot), whole)
  }
  return { table, slot }
}

/** What a store holds after a change. */
function storedParts(held: StateParts | null, { open, sealed }: StateChange): StateParts {
  return { open, sealed: sealed === undefined ? (held?.sealed ?? null) : sealed }
}

function checkCase(random: Random): void {
  const ttlMs = random.pick([null, 30 * MINUTE, 48 * HOUR])
  const features = random.pick([FEATURES, [...FEATURES, ...LIFETIME_FEATURES]])
  const filtered = random.below(3) === 0
  const view = {
    ...testView(features, { ttlMs, where: filtered ? 0 : null, functionCount: filtered ? 1 : 0 }),
    functions: [(event: object) => (event as { label: string | null }).label !== 'b'],
  }
  const where = filtered ? (fields: OracleEvent['fields']) => fields.label !== 'b' : null
  const kernel = new ViewKernel(view)
  const events = randomEvents(random)
  const times = Array.from({ length: 12 }, () => {
    const anchor = events.length === 0 ? 1_000_000_000_000 : random.pick(events).arrival
    return anchor + random.pick([0, 1, 2, MINUTE, random.below(3 * HOUR), random.below(80 * HOUR)])
  }).sort((a, b) => a - b)
  const input = sweepInput(kernel, events, times)
  const swept = sweep(kernel, input)
  const newest = newestVisibleTau(input, input.prepared)
  times.forEach((t, row) => {
    const visible = events.filter((event) => event.arrival < t)
    const expected = oracleView(view.plan, where, visible, t)
    assert.deepEqual(cellsOf(swept, row), expected, `sweep at ${t}`)
    const { table, slot } = streamed(kernel, visible, random)
    assert.equal(table.newestTau(slot), newest[row])
    const out = createResultColumns(view, 1)
    table.evaluate(slot, t, out, 0)
    assert.deepEqual(cellsOf(out, 0), expected, `stream at ${t}`)
  })
}

function sweepInput(kernel: ViewKernel, events: readonly OracleEvent[], times: readonly number[]): SweepInput {
  const ordered = [...events].sort((a, b) => a.arrival - b.arrival || a.offset - b.offset || a.index - b.index)
  return {
    prepared: kernel.prepare(batchOf(kernel.view, ordered)),
    groups: 1,
    eventStart: Int32Array.from([0, ordered.length]),
    rowStart: Int32Array.from([0, times.length]),
    visible: Int32Array.from(times, (t) => ordered.filter((event) => event.arrival < t).length),
    t: Float64Array.from(times),
  }
}
