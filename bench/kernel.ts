import { createHash } from 'node:crypto'
import { StateTable } from '../features/kernel/state-table.ts'
import { createResultColumns, ViewKernel } from '../features/kernel/view-kernel.ts'
import { createColumnBuilder } from '../features/kernel/function-results.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { EventBatch } from '../features/values/event-batch.ts'
import { encodeRow } from '../features/values/value-bytes.ts'
import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import { feature, HOUR, MINUTE, sliding, testView } from '../test/support/view-plans.ts'
import { Random } from '../test/support/random.ts'
import type { BenchPart, BenchResult } from './bench-result.ts'

const UPDATES_PER_SECOND_GOAL = 5e6
const EVALUATION_MICROSECONDS_GOAL = 10
const START_MS = 1_000_000_000_000
const SEED = 1
const ENTITIES = 1000
const BATCH_EVENTS = 10_000
const amount = { column: 'amount', type: { kind: 'float64' }, nullable: true } as const
const KINDS = ['count', 'sum', 'mean', 'min', 'max'] as const

/** 50 features of one hop: 5 aggregations over 10 windows. */
function fiftyFeatures(): CompiledView {
  const plans = KINDS.flatMap((kind) =>
    Array.from({ length: 10 }, (_, i) => {
      const aggregation = kind === 'count' ? ({ kind, input: null } as const) : ({ kind, input: amount } as const)
      return feature(`${kind}_${i + 1}h`, aggregation, sliding((i + 1) * HOUR, 15 * MINUTE))
    }),
  )
  return testView(plans)
}

/** Ten hours of events, so that every window is full; cents, as fractions are the slower case of an exact sum. */
const BATCHES = 100
const SPAN_MS = 10 * HOUR

function batchAt(view: CompiledView, startMs: number, spanMs: number, random: Random, divisor: number): EventBatch {
  const times = Float64Array.from({ length: BATCH_EVENTS }, () => startMs + random.below(spanMs))
  const columns = view.plan.source.fields.map(({ name, type }) => {
    const builder = createColumnBuilder(type, BATCH_EVENTS)
    for (let i = 0; i < BATCH_EVENTS; i++)
      builder.set(i, name === 'at' ? times[i] : name === 'amount' ? random.below(100_000) / divisor : 'k')
    return builder.finish()
  })
  const offset = Float64Array.from({ length: BATCH_EVENTS }, (_, i) => i)
  const index = new Int32Array(BATCH_EVENTS)
  return { length: BATCH_EVENTS, columns, eventTime: times, arrival: times, tau: times, offset, index }
}

interface Measured {
  readonly updatesPerSecond: number
  readonly evaluateMicroseconds: number
  readonly hash: string
}

function measure(smoke: boolean, divisor: number): Measured {
  const random = new Random(SEED)
  const view = fiftyFeatures()
  const kernel = new ViewKernel(view)
  const table = new StateTable(kernel)
  const slots = Array.from({ length: ENTITIES }, () => table.open())
  const batchCount = smoke ? 4 : BATCHES
  const spanMs = SPAN_MS / batchCount
  const batches = Array.from({ length: batchCount }, (_, i) => ({
    prepared: kernel.prepare(batchAt(view, START_MS + i * spanMs, spanMs, random, divisor)),
    slots: Int32Array.from({ length: BATCH_EVENTS }, () => slots[random.below(ENTITIES)]),
  }))
  const updatesPerEvent = kernel.tracks.reduce((sum, track) => sum + track.slots.length, 0)
  const applyStart = performance.now()
  for (const batch of batches) table.apply(batch.prepared, batch.slots)
  const applySeconds = (performance.now() - applyStart) / 1000

  const rounds = smoke ? 2 : 20
  const out = createResultColumns(view, ENTITIES)
  // Once before the clock starts: the engine compiles what is called often, which would be charged to the first figure alone.
  for (let row = 0; row < ENTITIES; row++) table.evaluate(slots[row], START_MS + SPAN_MS, out, row)
  const evaluateStart = performance.now()
  for (let round = 0; round < rounds; round++)
    for (let row = 0; row < ENTITIES; row++) table.evaluate(slots[row], START_MS + SPAN_MS, out, row)
  const evaluateMicroseconds = ((performance.now() - evaluateStart) * 1000) / (rounds * ENTITIES)

  const hash = createHash('sha256')
  for (let row = 0; row < ENTITIES; row++) {
    const statuses = out.map((column) => STATUS_NAMES[column.statuses[row]])
    hash.update(
      encodeRow(
        out.map((column) => resultValue(column, row)),
        statuses,
      ),
    )
  }
  const updatesPerSecond = (batchCount * BATCH_EVENTS * updatesPerEvent) / applySeconds
  return { updatesPerSecond, evaluateMicroseconds, hash: hash.digest('hex') }
}

function partsOf(label: string, { updatesPerSecond, evaluateMicroseconds }: Measured): BenchPart[] {
  return [
    {
      name: `updates, ${label}`,
      unit: 'tile updates/s',
      ours: updatesPerSecond,
      peer: UPDATES_PER_SECOND_GOAL,
      ratio: updatesPerSecond / UPDATES_PER_SECOND_GOAL,
    },
    {
      name: `evaluate, ${label}`,
      unit: 'µs per entity of 50 features',
      ours: evaluateMicroseconds,
      peer: EVALUATION_MICROSECONDS_GOAL,
      ratio: EVALUATION_MICROSECONDS_GOAL / evaluateMicroseconds,
    },
  ]
}

/** Tile updates a second, and the time to evaluate 50 features of one entity, on one thread. A tile update adds one event to one accumulator. */
export function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const whole = measure(smoke, 1)
  const cents = measure(smoke, 100)
  const parts = [...partsOf('whole numbers', whole), ...partsOf('cents', cents)]
  const worst = parts.reduce((a, b) => (b.ratio < a.ratio ? b : a))
  return Promise.resolve({
    name: 'kernel',
    unit: worst.unit,
    ours: worst.ours,
    peer: worst.peer,
    peerName: 'goal',
    ratio: worst.ratio,
    goal: 1,
    hash: createHash('sha256').update(whole.hash).update(cents.hash).digest('hex'),
    settings: { smoke, seed: SEED, entities: ENTITIES, events: (smoke ? 4 : BATCHES) * BATCH_EVENTS },
    parts,
  })
}
