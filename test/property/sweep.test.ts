import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resultValue, STATUS_NAMES } from '../../features/aggregation/result-column.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import { StateTable } from '../../features/kernel/state-table.ts'
import { readingOrder, readReferences, referenceSets } from '../../features/kernel/event-references.ts'
import { sweep } from '../../features/kernel/sweep.ts'
import type { SweepInput } from '../../features/kernel/sweep.ts'
import { createResultColumns, ViewKernel } from '../../features/kernel/view-kernel.ts'
import type { FieldType, Value } from '../../features/plan/field-type.ts'
import type { AggregationPlan, FeaturePlan, InputPlan, WindowPlan } from '../../features/plan/view-plan.ts'
import { aggregationValueType } from '../../features/aggregation/value-type.ts'
import type { EventBatch } from '../../features/values/event-batch.ts'
import { encodeCell } from '../../features/values/value-bytes.ts'
import { Random, runSeed } from '../support/random.ts'
import { feature, field, HOUR, MINUTE, sliding, testView } from '../support/view-plans.ts'

const CASES = Number(process.env.TIDEMARK_SWEEP_CASES ?? 60)
const LABEL: FieldType = { kind: 'string' }
const FIELDS = [
  field('key', LABEL),
  field('amount', { kind: 'float64' }, true),
  field('items', { kind: 'int32' }, true),
  field('big', { kind: 'int64' }, true),
  field('flag', { kind: 'bool' }, true),
  field('label', LABEL, true),
  field('place', { kind: 'vector', length: 2 }, true),
  field('at', { kind: 'timestamp' }),
]
const input = (name: string): InputPlan => ({
  column: name,
  type: FIELDS.find((plan) => plan.name === name)?.type ?? LABEL,
  nullable: true,
})
const AGGREGATIONS: readonly AggregationPlan[] = [
  { kind: 'count', input: null },
  { kind: 'countWhere', input: input('flag') },
  ...(['sum', 'mean', 'min', 'max'] as const).flatMap((kind) =>
    ['amount', 'items', 'big'].map((name) => ({ kind, input: input(name) })),
  ),
  ...(['any', 'all'] as const).map((kind) => ({ kind, input: input('flag') })),
  ...(['first', 'last', 'latest'] as const).flatMap((kind) =>
    ['amount', 'label', 'place'].map((name) => ({ kind, input: input(name) })),
  ),
  { kind: 'variance', input: input('amount'), sample: false },
  { kind: 'skewness', input: input('items') },
  ...(['firstN', 'lastN', 'topN', 'bottomN'] as const).map((kind) => ({ kind, input: input('amount'), n: 3 })),
  { kind: 'distinctCount', input: input('label'), limit: 3 },
  { kind: 'valueCounts', input: input('label'), limit: 3 },
  { kind: 'approxDistinctCount', input: input('amount'), precision: 6 },
  { kind: 'quantile', input: input('amount'), q: 0.5, relativeError: 0.01, maxBuckets: 64 },
  { kind: 'histogram', input: input('amount'), edges: [0, 1, 10] },
  { kind: 'vectorSum', input: input('place') },
  { kind: 'decayedSum', input: input('items'), halfLifeMs: HOUR },
]
const WINDOWS: readonly WindowPlan[] = [
  sliding(5 * MINUTE, MINUTE),
  sliding(HOUR, MINUTE),
  sliding(2 * HOUR, 20 * MINUTE),
  { kind: 'lifetime' },
]
const AMOUNTS = [0, 0.1, 0.2, 1, -1, 12.57, 3, 1e16, -1e16, 2 ** 53 + 2, 5e-324, 1e300, null]
const TAME = [0.01, 0.1, 99.99, 12.34, -0.05, 7, null]

interface Event {
  readonly tau: number
  readonly arrival: number
  readonly offset: number
  readonly index: number
  readonly fields: Readonly<Record<string, Value>>
}

function randomFeatures(random: Random): FeaturePlan[] {
  return Array.from({ length: 12 }, (_, i) => {
    const aggregation = random.pick(AGGREGATIONS)
    const plain = feature(`f${i}`, aggregation, random.pick(WINDOWS))
    if (random.below(5) > 0 || aggregation.kind === 'latest') return plain
    return {
      ...plain,
      bucketBy: { column: 'label', type: LABEL, limit: 2 },
      type: aggregationValueType(aggregation, LABEL),
    }
  })
}

/** In order of arrival; `lateness` 0: event times never go back. */
function randomEvents(random: Random, lateness: number): Event[] {
  let arrival = 1_000_000_000_000
  const amounts = random.pick([AMOUNTS, TAME])
  return Array.from({ length: random.below(120) }, (_, i) => {
    arrival += random.pick([0, 0, 1, random.below(MINUTE), random.below(10 * MINUTE)])
    const at = arrival - (lateness === 0 ? 0 : random.pick([0, 0, random.below(lateness)]))
    const fields = {
      key: 'k',
      amount: random.pick(amounts),
      items: random.pick([0, 1, -5, 2_147_483_647, null]),
      big: random.pick([0n, 2n ** 62n, -(2n ** 53n) - 1n, 7n, null]),
      flag: random.pick([true, false, null]),
      label: random.pick(['a', 'b', 'c', 'd', '', null]),
      place: random.pick([Float32Array.of(1, 0.5), Float32Array.of(-1e30, 2), null]),
      at,
    }
    return { tau: Math.min(at, arrival), arrival, offset: i >> 2, index: i & 3, fields }
  })
}

function batchOf(events: readonly Event[]): EventBatch {
  const columns = FIELDS.map((plan) => {
    const builder = createColumnBuilder(plan.type, events.length)
    events.forEach((event, i) => builder.set(i, event.fields[plan.name]))
    return builder.finish()
  })
  const numbers = (of: (event: Event) => number): Float64Array => Float64Array.from(events, of)
  return {
    length: events.length,
    columns,
    eventTime: numbers((event) => Number(event.fields.at)),
    arrival: numbers(({ arrival }) => arrival),
    tau: numbers(({ tau }) => tau),
    offset: numbers(({ offset }) => offset),
    index: Int32Array.from(events, ({ index }) => index),
  }
}

interface Row {
  readonly visible: number
  readonly t: number
}

/** Rows see ever more events; with `jumps` their times do not follow. */
function randomRows(random: Random, events: readonly Event[], jumps: boolean): Row[] {
  const seen = Array.from({ length: random.below(15) }, () => random.below(events.length + 1)).sort((a, b) => a - b)
  let last = 0
  return seen.map((visible) => {
    const newest = Math.max(999_999_999_999, ...events.slice(0, visible).map(({ tau }) => tau))
    const t = newest + 1 + random.pick([0, 0, random.below(MINUTE), random.below(3 * HOUR)])
    last = jumps ? t : Math.max(last, t)
    return { visible, t: last }
  })
}

function concatenated<T>(lists: readonly (readonly T[])[]): { all: T[]; start: Int32Array } {
  const start = new Int32Array(lists.length + 1)
  lists.forEach((list, i) => (start[i + 1] = start[i] + list.length))
  return { all: lists.flat(), start }
}

function checkCase(random: Random): void {
  const lateness = random.pick([0, MINUTE, 2 * HOUR])
  const filtered = random.below(3) === 0
  const view = {
    ...testView(randomFeatures(random), {
      source: { ...testView([]).plan.source, fields: FIELDS },
      where: filtered ? 0 : null,
      functionCount: filtered ? 1 : 0,
      ttlMs: random.pick([null, HOUR]),
    }),
    functions: [(event: object) => (event as { label: string | null }).label !== 'b'],
  }
  const kernel = new ViewKernel(view)
  const groups = Array.from({ length: 1 + random.below(4) }, () => {
    const events = randomEvents(random, lateness)
    return { events, rows: randomRows(random, events, random.below(3) === 0) }
  })
  const events = concatenated(groups.map((group) => group.events))
  const rows = concatenated(groups.map((group) => group.rows))
  const place = Int32Array.from(random.shuffle(rows.all.map((_, row) => row)))
  // As an export has them: the columns lie in another order.
  const numbers = random.shuffle(events.all.map((_, i) => i))
  const lying: Event[] = []
  numbers.forEach((number, i) => (lying[number] = events.all[i]))
  const origin = { columns: batchOf(lying).columns, rows: Int32Array.from(numbers) }
  const sets = referenceSets(kernel).map((set) => (random.below(2) === 0 ? null : set))
  const bySet = new Map(sets.map((set) => [set, set === null ? null : new Int32Array(rows.all.length)]))
  const references = sets.map((set) => bySet.get(set) ?? null)
  const lies: Pick<SweepInput, 'origin' | 'references'> = random.pick([{}, { origin }, { origin, references }])
  const written = sweep(kernel, {
    prepared: kernel.prepare(batchOf(events.all)),
    groups: groups.length,
    eventStart: events.start,
    rowStart: rows.start,
    visible: Int32Array.from(rows.all, ({ visible }) => visible),
    t: Float64Array.from(rows.all, ({ t }) => t),
    place,
    ...lies,
  })
  const swept = written.map((column, f) => {
    const referred = lies.references?.[f] ?? null
    const input = view.plan.features[f].aggregation.input
    if (referred === null || input === null || !('column' in input)) return column
    const field = FIELDS.findIndex(({ name }) => name === input.column)
    return readReferences(column.type, readingOrder(referred), origin.columns[field])
  })
  groups.forEach((group, g) => {
    group.rows.forEach(({ visible, t }, i) => {
      const table = new StateTable(kernel)
      const slot = table.open()
      const seen = group.events.slice(0, visible)
      table.apply(kernel.prepare(batchOf(seen)), new Int32Array(seen.length).fill(slot))
      const out = createResultColumns(view, 1)
      table.evaluate(slot, t, out, 0)
      out.forEach((expected, f) => {
        const row = place[rows.start[g] + i]
        assert.deepEqual(
          encodeCell(resultValue(swept[f], row), STATUS_NAMES[swept[f].statuses[row]]),
          encodeCell(resultValue(expected, 0), STATUS_NAMES[expected.statuses[0]]),
          `${JSON.stringify(view.plan.features[f])} of group ${g}, row ${i} at ${t}`,
        )
      })
    })
  })
}

test(`a sweep gives the bytes of streamed states: every aggregation, ${CASES} random logs of several entities`, () => {
  const seed = runSeed('sweep')
  for (let i = 0; i < CASES; i++) {
    try {
      checkCase(new Random(seed + i))
    } catch (error) {
      throw new Error(`case ${i} of seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
})
