import assert from 'node:assert/strict'
import { resultValue, STATUS_NAMES } from '../../features/aggregation/result-column.ts'
import type { ResultColumn } from '../../features/aggregation/result-column.ts'
import type { CompiledView, UserFunction } from '../../features/kernel/compiled-view.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { StateChange, StateParts } from '../../features/kernel/state-parts.ts'
import { StateTable } from '../../features/kernel/state-table.ts'
import { newestVisibleTau, sweep } from '../../features/kernel/sweep.ts'
import type { SweepInput } from '../../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import { compileView } from '../../registry/compile-view.ts'
import { assertCell } from './assert-cell.ts'
import { oracleNewest, oracleView } from './oracle-view.ts'
import type { OracleCell, OracleEvent, OracleFunction } from './oracle-view.ts'
import { jsonOf, randomFields } from './random-events.ts'
import { randomViewText, viewOfText } from './random-view.ts'
import { Random } from './random.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** One entity's history and the times at which it is evaluated. */
export interface KernelCase {
  readonly text: string
  readonly functions: readonly OracleFunction[]
  readonly view: CompiledView
  readonly events: readonly OracleEvent[]
  readonly times: readonly number[]
  /** Of the order, batches and restarts of the streamed states. */
  readonly seed: number
}

export function kernelCase(random: Random): KernelCase {
  const text = randomViewText(random, 'v')
  const { definition, functions } = viewOfText(text)
  const plan = compileView(definition, (_about, problem): never => {
    throw new Error(`${problem}\n${text}`)
  })
  const spanMs = random.pick([1000, 10 * MINUTE, 3 * HOUR, 60 * HOUR, 40 * 24 * HOUR])
  const start = random.pick([1_000_000_000_000, 1_000_000_000_000, 0, -spanMs / 2, -1e14, 8.64e15 - 2 * spanMs])
  const events = randomLog(random, start, spanMs)
  const times = Array.from({ length: 6 }, () => {
    const anchor = events.length === 0 ? start : random.pick(events)[random.pick(['arrival', 'tau'] as const)]
    return Math.min(8.64e15, anchor + random.pick([0, 1, 2, MINUTE, HOUR - 1, HOUR, random.below(spanMs), 3 * spanMs]))
  }).sort((a, b) => a - b)
  return {
    text,
    functions,
    view: { version: 'v', plan, functions: functions as unknown as UserFunction[] },
    events,
    times,
    seed: random.below(2 ** 31),
  }
}

function randomLog(random: Random, start: number, spanMs: number): OracleEvent[] {
  let arrival = start
  return Array.from({ length: random.below(50) }, (_, i) => {
    arrival += random.pick([0, 0, 1, random.below(spanMs / 20)])
    const late = random.pick([0, 0, random.below(1000), random.below(spanMs), -random.below(HOUR), 5 * MINUTE])
    const at = Math.max(-8.64e15, Math.min(8.64e15, arrival - late))
    const fields = randomFields(random, { at, known: arrival })
    return { tau: Math.min(at, arrival), arrival, offset: i >> 2, index: i & 3, fields }
  })
}

/** Throws where a path differs from the oracle. */
export function checkKernelCase({ functions, view, events, times, seed }: KernelCase): void {
  const random = new Random(seed)
  const kernel = new ViewKernel(view)
  const input = sweepInput(kernel, events, times)
  const swept = sweep(kernel, input)
  const newest = newestVisibleTau(input, input.prepared)
  times.forEach((t, row) => {
    const visible = events.filter((event) => event.arrival < t)
    const expected = oracleView(view.plan, functions, visible, t)
    const named = (path: string) => `${path} at ${t}`
    assertCells(view, cellsOf(swept, row), expected, named('sweep'))
    assert.equal(newest[row], oracleNewest(view.plan, functions, visible), named('newest τ'))
    const one = streamed(kernel, visible, random)
    assert.equal(one.table.newestTau(one.slot), newest[row])
    const out = createResultColumns(view, 1)
    one.table.evaluate(one.slot, t, out, 0)
    assertCells(view, cellsOf(out, 0), expected, named('stream'))
    if (newest[row] === -Infinity || row % 3 !== 0) return
    const two = streamed(kernel, visible, random)
    assert.deepEqual(one.table.encode(one.slot), two.table.encode(two.slot), named('state bytes'))
  })
}

function assertCells(
  view: CompiledView,
  found: readonly OracleCell[],
  expected: readonly OracleCell[],
  where: string,
): void {
  view.plan.features.forEach(({ name }, f) => assertCell(found[f], expected[f], `${where}, ${name}`))
}

/** Drops events and times while the case still fails. */
export function shrunk(made: KernelCase): { text: string; failure: string } {
  let least = made
  let failure = failureOf(made) ?? 'it did not fail again'
  const attempt = (tried: KernelCase): boolean => {
    const failed = failureOf(tried)
    if (failed === null) return false
    least = tried
    failure = failed
    return true
  }
  for (let size = made.events.length; size >= 1; size = Math.floor(size / 2))
    for (let at = 0; at < least.events.length;)
      if (!attempt({ ...least, events: least.events.filter((_, i) => i < at || i >= at + size) })) at += size
  for (let at = 0; at < least.times.length && least.times.length > 1;)
    if (!attempt({ ...least, times: least.times.filter((_, i) => i !== at) })) at++
  const events = least.events.map(
    ({ arrival, tau, offset, index, fields }) =>
      `  arrival ${arrival} τ ${tau} at ${offset}.${index} ${jsonOf(fields)}`,
  )
  return { text: [made.text, `times ${least.times.join(', ')}`, ...events].join('\n'), failure }
}

function failureOf(tried: KernelCase): string | null {
  try {
    checkKernelCase(tried)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

export function batchOf(view: CompiledView, events: readonly OracleEvent[]): EventBatch {
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

function cellsOf(out: readonly ResultColumn[], row: number): OracleCell[] {
  return out.map((column) => ({ value: resultValue(column, row), status: STATUS_NAMES[column.statuses[row]] }))
}

/** Applies the events in random order and batches, stored now and then as changes of two parts, with restarts from the store in between. */
export function streamed(
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
    assert.deepEqual(table.encode(slot), whole, 'a restart changes no byte')
  }
  return { table, slot }
}

/** What a store holds after a change. */
function storedParts(held: StateParts | null, { open, sealed }: StateChange): StateParts {
  return { open, sealed: sealed === undefined ? (held?.sealed ?? null) : sealed }
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
