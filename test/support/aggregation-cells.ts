import { compileAggregation } from '../../features/aggregation/compile-aggregation.ts'
import type { Aggregator, Cells, SlotInput } from '../../features/aggregation/cells.ts'
import { createResultColumn, resultValue, STATUS_NAMES } from '../../features/aggregation/result-column.ts'
import { aggregationValueType } from '../../features/aggregation/value-type.ts'
import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { FieldType, Value } from '../../features/plan/field-type.ts'
import type { AggregationPlan, FeaturePlan } from '../../features/plan/view-plan.ts'
import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import type { Random } from './random.ts'

export interface CellEvent {
  readonly tau: number
  readonly offset: number
  readonly index: number
  readonly value: Value
  readonly bucket: Value
}

export interface Subject {
  readonly feature: FeaturePlan
  readonly aggregator: Aggregator
}

const BUCKET: FieldType = { kind: 'string' }

/** An aggregation ready to be tried, over a lifetime window. */
export function subject(aggregation: AggregationPlan, bucketLimit: number | null = null): Subject {
  const feature: FeaturePlan = {
    name: aggregation.kind,
    aggregation,
    window: { kind: 'lifetime' },
    bucketBy: bucketLimit === null ? null : { column: 'bucket', type: BUCKET, limit: bucketLimit },
    default: null,
    rules: [],
    nullShareMax: null,
    type: aggregationValueType(aggregation, bucketLimit === null ? null : BUCKET),
  }
  return { feature, aggregator: compileAggregation(feature) }
}

export function slotInput({ feature }: Subject, events: readonly CellEvent[]): SlotInput {
  const input = feature.aggregation.input
  const column = (type: FieldType, of: (event: CellEvent) => Value) => {
    const builder = createColumnBuilder(type, events.length)
    events.forEach((event, i) => builder.set(i, of(event)))
    return builder.finish()
  }
  return {
    column: input === null ? null : column(input.type, ({ value }) => value),
    tau: Float64Array.from(events, ({ tau }) => tau),
    offset: Float64Array.from(events, ({ offset }) => offset),
    index: Int32Array.from(events, ({ index }) => index),
    bucket: feature.bucketBy === null ? null : column(BUCKET, ({ bucket }) => bucket),
  }
}

export function encodeCell(cells: Cells, cell: number): Uint8Array {
  const writer = new ByteWriter()
  cells.encode(cell, writer)
  return writer.finish()
}

export function readCell({ feature, aggregator }: Subject, cells: Cells, cell: number, t: number) {
  const out = createResultColumn(feature.type, 1)
  aggregator.read(cells, cell, t, out, 0)
  return { value: resultValue(out, 0), status: STATUS_NAMES[out.statuses[0]] }
}

/** The state of one batch in the given order. */
export function direct(subjectOf: Subject, events: readonly CellEvent[]): Cells {
  const cells = subjectOf.aggregator.slot.create()
  cells.grow(1)
  cells.update(new Int32Array(events.length), slotInput(subjectOf, events), 0, events.length)
  return cells
}

/** Shuffled, spread over cells in batches, encoded and decoded at random moments, merged as a random tree into cell 0. */
export function scattered(subjectOf: Subject, events: readonly CellEvent[], random: Random): Cells {
  const { slot } = subjectOf.aggregator
  const shuffled = random.shuffle(events)
  const width = 1 + random.below(6)
  let cells = slot.create()
  cells.grow(width)
  for (let at = 0; at < shuffled.length;) {
    const batch = shuffled.slice(at, (at += 1 + random.below(7)))
    const cellOf = Int32Array.from(batch, () => random.below(width))
    cells.update(cellOf, slotInput(subjectOf, batch), 0, batch.length)
    if (random.below(3) === 0) cells = reloaded(subjectOf, cells, width)
  }
  let left = width
  while (left > 1) {
    const into = random.below(left - 1)
    const from = into + 1
    const to = from + 1 + random.below(left - from)
    cells.mergeRun(into, cells, from, to)
    for (let i = 0; from + i < left; i++) {
      cells.clear(from + i, from + i + 1)
      if (to + i < left) cells.mergeRun(from + i, cells, to + i, to + i + 1)
    }
    left -= to - from
    if (random.below(3) === 0) cells = reloaded(subjectOf, cells, left)
  }
  return cells
}

function reloaded({ aggregator }: Subject, cells: Cells, count: number): Cells {
  const fresh = aggregator.slot.create()
  fresh.grow(count)
  for (let cell = 0; cell < count; cell++) {
    const reader = new ByteReader(encodeCell(cells, cell))
    fresh.decode(cell, reader)
    if (reader.remaining !== 0) throw new Error('a state left bytes unread')
  }
  return fresh
}
