import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createColumnBuilder } from '../../../features/kernel/function-results.ts'
import { StateTable } from '../../../features/kernel/state-table.ts'
import { ViewKernel } from '../../../features/kernel/view-kernel.ts'
import { feature, HOUR, MINUTE, sliding, testView } from '../../support/view-plans.ts'

const amount = { column: 'amount', type: { kind: 'float64' }, nullable: true } as const
const START = 1_000_000_020_000
const kernel = new ViewKernel(
  testView([
    feature('sum_1h', { kind: 'sum', input: amount }, sliding(HOUR, MINUTE)),
    feature('sum_24h', { kind: 'sum', input: amount }, sliding(24 * HOUR, 15 * MINUTE)),
    feature('total', { kind: 'sum', input: amount }, { kind: 'lifetime' }),
  ]),
)

function apply(table: StateTable, slot: number, times: readonly number[]): void {
  const tau = Float64Array.from(times)
  const columns = kernel.view.plan.source.fields.map(({ name, type }) => {
    const builder = createColumnBuilder(type, tau.length)
    tau.forEach((time, i) => builder.set(i, name === 'at' ? time : name === 'amount' ? 0.1 * i : 'k'))
    return builder.finish()
  })
  const offset = Float64Array.from(tau, (_, i) => i)
  const batch = { length: tau.length, columns, eventTime: tau, arrival: tau, tau, offset }
  table.apply(kernel.prepare({ ...batch, index: new Int32Array(tau.length) }), new Int32Array(tau.length).fill(slot))
}

/** An entity with a tile for each of the last 40 minutes, as stored. */
function denseEntity(): { table: StateTable; slot: number } {
  const table = new StateTable(kernel)
  const slot = table.open()
  apply(
    table,
    slot,
    Array.from({ length: 41 }, (_, i) => START + i * MINUTE),
  )
  const { sealed } = table.encodeChange(slot)
  assert.ok(sealed !== undefined && sealed !== null && sealed.length > 256)
  table.markStored(slot)
  return { table, slot }
}

test('events in the newest tiles rewrite the open part alone; others rewrite the sealed part too', () => {
  const cases: readonly (readonly [string, number, boolean])[] = [
    ['an event in the newest tiles', START + 40 * MINUTE + 7, false],
    ['an event that opens a new tile', START + 41 * MINUTE, true],
    ['a late event in a tile that is held', START + 3 * MINUTE, true],
    ['a late event in a tile of its own', START - MINUTE, true],
    ['an event too late for every window', START - 100 * HOUR, false],
    ['an event one window later, after which all tiles leave', START + 100 * HOUR, true],
  ]
  for (const [title, time, rewritten] of cases) {
    const { table, slot } = denseEntity()
    apply(table, slot, [time])
    assert.equal('sealed' in table.encodeChange(slot), rewritten, title)
  }
})

test('a sealed part that became small moves into the open part, and the store is told to drop it', () => {
  const { table, slot } = denseEntity()
  apply(table, slot, [START + 30 * HOUR])
  const change = table.encodeChange(slot)
  assert.equal(change.sealed, null)
  assert.deepEqual(table.encode(slot), { open: change.open, sealed: null })
  table.markStored(slot)
  assert.ok(!('sealed' in table.encodeChange(slot)))
})

test('a change that was not stored is given again', () => {
  const { table, slot } = denseEntity()
  apply(table, slot, [START + 41 * MINUTE])
  const first = table.encodeChange(slot)
  assert.deepEqual(table.encodeChange(slot), first)
})

test('parts that were not encoded together, truncated or of another format are refused', () => {
  const { table, slot } = denseEntity()
  const { open, sealed } = table.encode(slot)
  assert.ok(sealed !== null)
  const other = new StateTable(kernel)
  const decoded = other.open()
  assert.throws(() => other.decode(decoded, { open, sealed: null }), RangeError)
  assert.throws(() => other.decode(decoded, { open, sealed: sealed.subarray(1) }), RangeError)
  assert.throws(() => other.decode(decoded, { open: Uint8Array.from([9, ...open.subarray(1)]), sealed }), RangeError)
  for (let end = 0; end < open.length; end++)
    assert.throws(() => other.decode(decoded, { open: open.subarray(0, end), sealed }), RangeError, `cut at ${end}`)
  other.decode(decoded, { open, sealed })
  assert.deepEqual(other.encode(decoded), { open, sealed })
})
