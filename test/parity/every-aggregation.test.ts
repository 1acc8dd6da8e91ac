import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { resultValue, STATUS_NAMES } from '../../features/aggregation/result-column.ts'
import type { ResultColumn } from '../../features/aggregation/result-column.ts'
import type { CompiledView } from '../../features/kernel/compiled-view.ts'
import { deriveRow } from '../../features/kernel/derive.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import { planValue } from '../../features/kernel/rules.ts'
import { StateTable } from '../../features/kernel/state-table.ts'
import { sweep } from '../../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { Value } from '../../features/plan/field-type.ts'
import type { FeaturePlan } from '../../features/plan/view-plan.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import { Registry } from '../../registry/registry.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { EVERY_AGGREGATION } from '../support/every-aggregation.ts'
import { byValue, INVALID, oracleAggregation } from '../support/oracle-aggregations.ts'
import { temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'
import { HOUR, MINUTE } from '../support/view-plans.ts'

const CASES = Number(process.env.TIDEMARK_ROUND_TRIP_CASES ?? 40)

interface PaymentEvent {
  readonly tau: number
  readonly arrival: number
  readonly offset: number
  readonly index: number
  readonly fields: {
    readonly card_id: string
    readonly merchant: string | null
    readonly amount: number | null
    readonly items: number
    readonly cents: bigint | null
    readonly fraud: boolean | null
    readonly embedding: Float32Array | null
    readonly raw: Uint8Array
    readonly channel: string
    readonly paid_at: number
  }
}
type Fields = PaymentEvent['fields']

/** The functions of the definitions, written again for the oracle. */
const FUNCTIONS: Readonly<Record<string, (event: Fields) => Value>> = {
  big: (e) => (e.amount === null ? null : e.amount > 1),
  capped: (e) => (e.amount === null ? null : Math.min(e.amount, 1)),
  doubled: (e) => (e.cents === null || BigInt.asIntN(64, e.cents * 2n) !== e.cents * 2n ? null : e.cents * 2n),
  last_length: (e) => e.merchant?.length ?? null,
  all: (e) => e.items > 0,
  vector_mean: (e) => e.embedding,
}
/** Judged by their laws and bounds elsewhere (test/property); here by the equality of the paths. */
const APPROXIMATE = new Set(['about', 'median', 'vector_sum', 'vector_mean', 'decayed', 'decayed_count'])

function randomEvents(random: Random): PaymentEvent[] {
  const spanMs = random.pick([10 * MINUTE, 3 * HOUR, 60 * HOUR])
  let arrival = 1_000_000_000_000
  return Array.from({ length: random.below(40) }, (_, i) => {
    arrival += random.pick([0, 1, random.below(spanMs / 10)])
    const paidAt = arrival - random.pick([0, 0, random.below(spanMs), -random.below(HOUR)])
    const fields = {
      card_id: 'c',
      merchant: random.pick(['a', 'b', 'ü', '', '\u{1f600}', null]),
      amount: random.pick([0, 0.1, 0.2, 1e16, -1e16, 5e-324, 1e308, -3, 12.57, null]),
      items: random.pick([1, 2, -3, 2147483647, 13]),
      cents: random.pick([0n, 1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, null]),
      fraud: random.pick([true, false, null]),
      embedding: random.pick([Float32Array.of(0, 1, -1), Float32Array.of(0.5, 1e38, 2 ** -149), null]),
      raw: Uint8Array.from(random.pick([[], [0], [255, 1]])),
      channel: random.pick(['web', 'shop']),
      paid_at: paidAt,
    }
    return { tau: Math.min(paidAt, arrival), arrival, offset: i >> 2, index: i & 3, fields }
  })
}

function batchOf(view: CompiledView, events: readonly PaymentEvent[]): EventBatch {
  const columns = view.plan.source.fields.map(({ name, type }) => {
    const builder = createColumnBuilder(type, events.length)
    events.forEach(({ fields }, i) => builder.set(i, fields[name as keyof Fields]))
    return builder.finish()
  })
  const numbers = (of: (event: PaymentEvent) => number): Float64Array => Float64Array.from(events, of)
  return {
    length: events.length,
    columns,
    eventTime: numbers((event) => event.fields.paid_at),
    arrival: numbers((event) => event.arrival),
    tau: numbers((event) => event.tau),
    offset: numbers((event) => event.offset),
    index: Int32Array.from(events, (event) => event.index),
  }
}

const row = (out: readonly ResultColumn[], at: number) =>
  out.map((column) => ({ value: resultValue(column, at), status: STATUS_NAMES[column.statuses[at]] }))

/** The state after the events in random order and batches, restarted now and then, evaluated at t. */
function streamed(kernel: ViewKernel, events: readonly PaymentEvent[], t: number, random: Random) {
  let table = new StateTable(kernel)
  let slot = table.open()
  const shuffled = random.shuffle(events)
  for (let at = 0; at < shuffled.length;) {
    const batch = shuffled.slice(at, (at += 1 + random.below(9)))
    table.apply(kernel.prepare(batchOf(kernel.view, batch)), new Int32Array(batch.length).fill(slot))
    if (random.below(3) > 0 || table.newestTau(slot) === -Infinity) continue
    const bytes = table.encode(slot)
    table = new StateTable(kernel)
    slot = table.open()
    table.decode(slot, bytes)
  }
  const out = createResultColumns(kernel.view, 1)
  table.evaluate(slot, t, out, 0)
  return row(out, 0)
}

function sweptRows(kernel: ViewKernel, events: readonly PaymentEvent[], times: readonly number[]) {
  const ordered = [...events].sort((a, b) => a.arrival - b.arrival || a.offset - b.offset || a.index - b.index)
  const out = sweep(kernel, {
    prepared: kernel.prepare(batchOf(kernel.view, ordered)),
    groups: 1,
    eventStart: Int32Array.of(0, ordered.length),
    rowStart: Int32Array.of(0, times.length),
    visible: Int32Array.from(times, (t) => ordered.filter((event) => event.arrival < t).length),
    t: Float64Array.from(times),
  })
  return times.map((_, i) => row(out, i))
}

/** A feature's value and status by definition; the view has no ttl and, with lifetime windows, no retention. */
function oracleFeature(feature: FeaturePlan, visible: readonly PaymentEvent[], t: number) {
  const events = visible.filter(({ fields }) => fields.items !== 13)
  const { window, bucketBy } = feature
  const start = window.kind === 'lifetime' ? -Infinity : Math.floor((t - window.lengthMs) / window.hopMs) * window.hopMs
  const inside = events.filter(({ tau }) => tau >= start && tau < t)
  const decided = bucketBy === null ? plainValue(feature, inside) : bucketedValue(feature, inside)
  const isCount = feature.type.kind === 'count'
  const empty = events.length === 0 ? 'MISSING' : 'EMPTY_WINDOW'
  if (decided === undefined || (isCount && decided === 0 && inside.length === 0))
    return settle(feature, isCount ? 0 : null, empty)
  if (decided === INVALID) return settle(feature, null, 'INVALID')
  return settle(feature, decided, isCount && decided === 0 ? 'EMPTY_WINDOW' : 'PRESENT')
}

function settle(feature: FeaturePlan, value: Value, status: string) {
  return value === null && feature.default !== null
    ? { value: planValue(feature.default, feature.type), status: 'DEFAULTED' }
    : { value, status }
}

function inputOf({ aggregation, name }: FeaturePlan, { fields }: PaymentEvent): Value {
  if (aggregation.input === null) return 1
  return 'column' in aggregation.input ? fields[aggregation.input.column as keyof Fields] : FUNCTIONS[name](fields)
}

function plainValue(feature: FeaturePlan, events: readonly PaymentEvent[]) {
  const inputs = events
    .map((event) => ({ ...event, value: inputOf(feature, event) }))
    .filter(({ value }) => value !== null || feature.aggregation.kind === 'latest')
  return oracleAggregation(feature.aggregation, inputs)
}

function bucketedValue(feature: FeaturePlan, events: readonly PaymentEvent[]) {
  const { bucketBy } = feature
  assert.ok(bucketBy !== null)
  const bucketOf = ({ fields }: PaymentEvent): Value => fields[bucketBy.column as keyof Fields]
  const contributing = events.filter(
    (event) => bucketOf(event) !== null && (inputOf(feature, event) !== null || feature.aggregation.kind === 'latest'),
  )
  if (contributing.length === 0) return undefined
  const keys = [...new Set(contributing.map(bucketOf))].sort(byValue).slice(0, bucketBy.limit)
  return new Map(
    keys.map((key) => {
      const value = plainValue(
        feature,
        contributing.filter((event) => bucketOf(event) === key),
      )
      return [key, value === INVALID || value === undefined ? null : value]
    }),
  )
}

async function applied(context: TestContext): Promise<Registry> {
  const project = temporaryProject(context, { 'features/spend.ts': EVERY_AGGREGATION })
  const metadata = await openSqliteMetadata(join(project, 'metadata.sqlite'))
  context.after(() => metadata.close())
  await new Registry(metadata).apply(project, 0)
  return new Registry(metadata)
}

test(`every aggregation, from its definition: streamed = exported = recomputed = oracle, ${CASES} random logs`, async (context) => {
  const registry = await applied(context)
  const [{ views }] = await registry.keyedLogs()
  const kernel = new ViewKernel(views[0])
  const { features } = views[0].plan
  const seed = runSeed('every aggregation')
  for (let i = 0; i < CASES; i++) {
    const random = new Random(seed + i)
    const events = randomEvents(random)
    const times = Array.from({ length: 4 }, () => {
      const anchor = events.length === 0 ? 1_000_000_000_000 : random.pick(events).arrival
      return anchor + 1 + random.pick([0, MINUTE, random.below(3 * HOUR), random.below(80 * HOUR)])
    }).sort((a, b) => a - b)
    const exported = sweptRows(kernel, events, times)
    times.forEach((t, at) => {
      const visible = events.filter(({ arrival }) => arrival < t)
      assert.deepEqual(streamed(kernel, visible, t, random), exported[at], `case ${i} of seed ${seed}, stream at ${t}`)
      features.forEach((feature, f) => {
        if (APPROXIMATE.has(feature.name)) return
        const expected = oracleFeature(feature, visible, t)
        assert.deepEqual(exported[at][f], expected, `case ${i} of seed ${seed}, ${feature.name} at ${t}`)
      })
    })
  }
})

test('derived fields have their declared types; a wrong one is null, INVALID', async (context) => {
  const service = await (await applied(context)).service('everything')
  const row = (present: Readonly<Record<string, Value>>) => {
    const values = service.plan.features.map(({ feature }) => present[feature] ?? null)
    values.push(10n)
    const statuses = values.map(() => 'PRESENT' as const)
    deriveRow(service, values, statuses)
    const first = values.length - service.plan.derived.length
    return service.plan.derived.map(({ name }, i) => [name, values[first + i], statuses[first + i]])
  }
  const vector_sum = Float32Array.of(1, 2, 3)
  assert.deepEqual(row({ total: 1, payments: 4, cents: 12n, latest: 'a', vector_sum }), [
    ['ratio', 0.25, 'PRESENT'],
    ['over_limit', true, 'PRESENT'],
    ['tier', 'high', 'PRESENT'],
    ['label', 'at a', 'PRESENT'],
    ['left', -2n, 'PRESENT'],
    ['centre', Float32Array.of(0.5, 1, 1.5), 'PRESENT'],
    ['wrong', null, 'INVALID'],
  ])
  assert.deepEqual(
    service.plan.derived.map(({ type }) => type.kind),
    ['float64', 'bool', 'enum', 'string', 'int64', 'vector', 'int32'],
  )
  // A division by zero is not finite; a null label is a value.
  assert.deepEqual(row({ total: 1, payments: 0, cents: 0n, vector_sum }).slice(0, 4), [
    ['ratio', null, 'INVALID'],
    ['over_limit', false, 'PRESENT'],
    ['tier', 'low', 'PRESENT'],
    ['label', null, 'PRESENT'],
  ])
})
