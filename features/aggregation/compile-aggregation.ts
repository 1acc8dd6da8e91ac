import { failKernel } from '../errors/kernel-errors.ts'
import type { FieldType } from '../plan/field-type.ts'
import type { AggregationPlan, FeaturePlan } from '../plan/view-plan.ts'
import { KeyCountFold } from './bounded-keys.ts'
import { BucketedCells } from './bucketed-cells.ts'
import type { Aggregator, Cells } from './cells.ts'
import { CountCells } from './count-cells.ts'
import { DecayedSumFold } from './decayed-sums.ts'
import { ExtremeCells } from './extreme-cells.ts'
import { ExtremeIntegerCells } from './extreme-integers.ts'
import { FoldCells } from './fold-cells.ts'
import type { Fold } from './fold-cells.ts'
import { HistogramCells } from './histogram-cells.ts'
import { HyperLogLogFold } from './hyper-log-log.ts'
import { OrderedCells } from './ordered-cells.ts'
import { PowerSumFold, kurtosis, skewness, standardDeviation, variance } from './power-sums.ts'
import type { PowerSums } from './power-sums.ts'
import { QuantileSketchFold } from './quantile-sketch.ts'
import { PlacedFold, RankedFold } from './ranked-values.ts'
import {
  bucketReader,
  readCount,
  readExtreme,
  readIntegerSum,
  readMean,
  readOrdered,
  readSum,
  setCount,
  setInteger,
  setNumber,
  setObject,
} from './readers.ts'
import { STATUS, setNull } from './result-column.ts'
import type { ResultColumn } from './result-column.ts'
import { SumCells } from './sum-cells.ts'
import { TruthCells } from './truth-cells.ts'
import { aggregationValueType } from './value-type.ts'
import { VectorSumFold, roundedVector } from './vector-sums.ts'
import type { VectorSum } from './vector-sums.ts'

type KindOf<K extends AggregationPlan['kind']> = Extract<AggregationPlan, { kind: K }>

const NUMBERS: ReadonlySet<string> = new Set(['int32', 'int64', 'float32', 'float64'])
const EXTREMES: ReadonlySet<string> = new Set([...NUMBERS, 'timestamp'])
const BOOLEANS: ReadonlySet<string> = new Set(['bool'])
const VECTORS: ReadonlySet<string> = new Set(['vector'])
const KEYS: ReadonlySet<string> = new Set([
  'bool',
  'int32',
  'int64',
  'float32',
  'float64',
  'string',
  'bytes',
  'timestamp',
  'enum',
])

/** Input types that an aggregation reads; absent: any. */
const INPUT_KINDS: Partial<Record<AggregationPlan['kind'], ReadonlySet<string>>> = {
  countWhere: BOOLEANS,
  sum: NUMBERS,
  mean: NUMBERS,
  min: EXTREMES,
  max: EXTREMES,
  any: BOOLEANS,
  all: BOOLEANS,
  variance: NUMBERS,
  stddev: NUMBERS,
  skewness: NUMBERS,
  kurtosis: NUMBERS,
  topN: KEYS,
  bottomN: KEYS,
  distinctCount: KEYS,
  valueCounts: KEYS,
  approxDistinctCount: KEYS,
  quantile: NUMBERS,
  histogram: NUMBERS,
  vectorSum: VECTORS,
  vectorMean: VECTORS,
  decayedSum: NUMBERS,
}

/** Chooses the state and the reader of a feature. Throws TM_AGGREGATION_UNSUPPORTED for an input type that the aggregation cannot read. */
export function compileAggregation(feature: FeaturePlan): Aggregator {
  const { aggregation, bucketBy } = feature
  checkInput(feature)
  const plain = compilePlain(aggregation)
  if (bucketBy === null) return plain
  const { slot } = plain
  return {
    slot: {
      kind: `bucketed ${slot.kind}`,
      params: { type: bucketBy.type, limit: bucketBy.limit, inner: slot.params },
      create: () => new BucketedCells(bucketBy.type, bucketBy.limit, slot.create()),
    },
    read: bucketReader(plain, aggregationValueType(aggregation, null)),
  }
}

function checkInput(feature: FeaturePlan): void {
  const { aggregation, bucketBy, name } = feature
  const known = INPUT_KINDS[aggregation.kind]
  const kind = aggregation.input?.type.kind
  if (known !== undefined && kind !== undefined && !known.has(kind))
    throw unsupported(name, aggregation.kind, kind, known)
  if (bucketBy !== null && !KEYS.has(bucketBy.type.kind)) throw unsupported(name, 'bucketBy', bucketBy.type.kind, KEYS)
}

function unsupported(feature: string, what: string, found: string, known: ReadonlySet<string>): Error {
  const supported = [...known]
  return failKernel(
    'TM_AGGREGATION_UNSUPPORTED',
    `feature ${feature}: ${what} reads ${supported.join(', ')}; its column is ${found}. Choose another column or convert it with a function`,
    { details: { feature, aggregation: what, found, supported } },
  )
}

function compilePlain(aggregation: AggregationPlan): Aggregator {
  switch (aggregation.kind) {
    case 'count':
    case 'countWhere':
      return aggregator<CountCells>(aggregation.kind, null, () => new CountCells(), readCount)
    case 'sum': {
      const integer = ['int32', 'int64'].includes(aggregation.input.type.kind)
      return aggregator<SumCells>('sum', null, () => new SumCells(), integer ? readIntegerSum : readSum)
    }
    case 'mean':
      return aggregator<SumCells>('sum', null, () => new SumCells(), readMean)
    case 'min':
    case 'max':
      return compileExtreme(aggregation.kind, aggregation.input.type)
    case 'first':
    case 'last':
    case 'latest': {
      const { type } = aggregation.input
      const sign = aggregation.kind === 'first' ? 1 : -1
      return aggregator<OrderedCells>(aggregation.kind, type, () => new OrderedCells(sign, type), readOrdered)
    }
    case 'any':
    case 'all':
      return compileTruth(aggregation.kind)
    case 'variance':
    case 'stddev':
    case 'skewness':
    case 'kurtosis':
      return compileMoment(aggregation)
    case 'firstN':
    case 'lastN':
    case 'topN':
    case 'bottomN':
      return compileBest(aggregation)
    case 'distinctCount':
    case 'valueCounts':
    case 'approxDistinctCount':
      return compileDistinct(aggregation)
    case 'quantile':
      return compileQuantile(aggregation)
    case 'histogram':
      return compileHistogram(aggregation.edges)
    case 'vectorSum':
    case 'vectorMean':
      return compileVector(aggregation)
    case 'decayedSum':
    case 'decayedCount':
      return compileDecayed(aggregation.halfLifeMs)
  }
}

function compileExtreme(kind: 'min' | 'max', type: FieldType): Aggregator {
  const sign = kind === 'min' ? 1 : -1
  if (type.kind !== 'int64') return aggregator<ExtremeCells>(kind, null, () => new ExtremeCells(sign), readExtreme)
  return aggregator<ExtremeIntegerCells>(
    `${kind} int64`,
    null,
    () => new ExtremeIntegerCells(sign),
    (cells, cell, out, row) => {
      if (cells.isEmpty(cell)) setNull(out, row, STATUS.EMPTY_WINDOW)
      else setInteger(out, row, cells.best[cell])
    },
  )
}

function compileTruth(kind: 'any' | 'all'): Aggregator {
  return aggregator<TruthCells>(
    'truth',
    null,
    () => new TruthCells(),
    (cells, cell, out, row) => {
      const count = cells.count[cell]
      const truths = cells.truths[cell]
      if (count === 0) setNull(out, row, STATUS.EMPTY_WINDOW)
      else setNumber(out, row, (kind === 'any' ? truths > 0 : truths === count) ? 1 : 0)
    },
  )
}

function compileMoment(aggregation: KindOf<'variance' | 'stddev'> | KindOf<'skewness' | 'kurtosis'>): Aggregator {
  const { kind } = aggregation
  const degree = kind === 'variance' || kind === 'stddev' ? 2 : 4
  return folded('powers', degree, new PowerSumFold(degree), (state, _t, out, row) => {
    setNumber(out, row, moment(aggregation, state))
  })
}

function moment(aggregation: Parameters<typeof compileMoment>[0], state: PowerSums): number {
  switch (aggregation.kind) {
    case 'variance':
      return variance(state, aggregation.sample)
    case 'stddev':
      return standardDeviation(state, aggregation.sample)
    case 'skewness':
      return skewness(state)
    case 'kurtosis':
      return kurtosis(state)
  }
}

function compileBest(aggregation: KindOf<'firstN' | 'lastN' | 'topN' | 'bottomN'>): Aggregator {
  const { kind, n, input } = aggregation
  const { type } = input
  if (kind === 'firstN' || kind === 'lastN') {
    const fold = new PlacedFold(kind === 'firstN' ? 1 : -1, n, type)
    return folded(kind, { n, type }, fold, (state, _t, out, row) => {
      setObject(
        out,
        row,
        state.map(({ value }) => value),
      )
    })
  }
  const fold = new RankedFold(kind === 'bottomN' ? 1 : -1, n, type)
  return folded(kind, { n, type }, fold, (state, _t, out, row) => setObject(out, row, fold.values(state)))
}

function compileDistinct(
  aggregation: KindOf<'distinctCount' | 'valueCounts'> | KindOf<'approxDistinctCount'>,
): Aggregator {
  const { type } = aggregation.input
  if (aggregation.kind === 'approxDistinctCount') {
    const { precision } = aggregation
    const fold = new HyperLogLogFold(precision, type)
    return folded(
      'approxDistinctCount',
      { precision, type },
      fold,
      (state, _t, out, row) => setCount(out, row, fold.estimate(state)),
      (out, row) => setCount(out, row, 0),
    )
  }
  const { limit } = aggregation
  const counted = aggregation.kind === 'valueCounts'
  const fold = new KeyCountFold(type, limit, counted)
  if (counted)
    return folded('valueCounts', { limit, type }, fold, (state, _t, out, row) =>
      setObject(out, row, fold.countsByValue(state)),
    )
  return folded(
    'distinctCount',
    { limit, type },
    fold,
    (state, _t, out, row) => {
      const size = fold.settle(state).length
      if (state.overflow) setNull(out, row, STATUS.INVALID)
      else setCount(out, row, size)
    },
    (out, row) => setCount(out, row, 0),
  )
}

function compileQuantile(aggregation: KindOf<'quantile'>): Aggregator {
  const { q, relativeError, maxBuckets } = aggregation
  const fold = new QuantileSketchFold(relativeError, maxBuckets)
  return folded('quantile', { relativeError, maxBuckets }, fold, (state, _t, out, row) => {
    setNumber(out, row, fold.quantile(state, q))
  })
}

function compileHistogram(edges: readonly number[]): Aggregator {
  return aggregator<HistogramCells>(
    'histogram',
    edges,
    () => new HistogramCells(edges),
    (cells, cell, out, row) => {
      if (cells.isEmpty(cell)) setNull(out, row, STATUS.EMPTY_WINDOW)
      else setObject(out, row, Array.from(cells.binsOf(cell)))
    },
  )
}

function compileVector(aggregation: KindOf<'vectorSum' | 'vectorMean'>): Aggregator {
  const { type } = aggregation.input
  const length = vectorLength(type)
  const mean = aggregation.kind === 'vectorMean'
  return folded('vectorSum', length, new VectorSumFold(length), (state: VectorSum, _t, out, row) => {
    const vector = roundedVector(state, mean ? state.n : 1)
    if (vector === null) setNull(out, row, STATUS.INVALID)
    else setObject(out, row, vector)
  })
}

function vectorLength(type: FieldType): number {
  return type.kind === 'vector' ? type.length : 0
}

function compileDecayed(halfLifeMs: number): Aggregator {
  const fold = new DecayedSumFold(halfLifeMs)
  return folded('decayedSum', halfLifeMs, fold, (state, t, out, row) => setNumber(out, row, fold.valueAt(state, t)))
}

/** The cells given to `read` are those that `create` made: with `folded` the one place where their type is asserted. */
function aggregator<C extends Cells>(
  kind: string,
  params: unknown,
  create: () => C,
  read: (cells: C, cell: number, out: ResultColumn, row: number) => void,
): Aggregator {
  return {
    slot: { kind, params, create },
    read: (cells, cell, _t, out, row) => read(cells as C, cell, out, row),
  }
}

/** `read` sees states that are not empty. */
function folded<S>(
  kind: string,
  params: unknown,
  fold: Fold<S>,
  read: (state: S, t: number, out: ResultColumn, row: number) => void,
  readEmpty: (out: ResultColumn, row: number) => void = (out, row) => setNull(out, row, STATUS.EMPTY_WINDOW),
): Aggregator {
  return {
    slot: { kind, params, create: () => new FoldCells(fold) },
    read: (cells, cell, t, out, row) => {
      if (cells.isEmpty(cell)) readEmpty(out, row)
      else read((cells as FoldCells<S>).at(cell), t, out, row)
    },
  }
}
