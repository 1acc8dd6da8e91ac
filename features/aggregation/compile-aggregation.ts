import { failKernel } from '../errors/kernel-errors.ts'
import type { FeaturePlan } from '../plan/view-plan.ts'
import type { Aggregator, Cells } from './cells.ts'
import { CountCells } from './count-cells.ts'
import { ExtremeCells } from './extreme-cells.ts'
import { OrderedCells } from './ordered-cells.ts'
import { STATUS, setNull } from './result-column.ts'
import type { ResultColumn } from './result-column.ts'
import { SumCells } from './sum-cells.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n
const SUPPORTED = ['count', 'countWhere', 'sum', 'mean', 'min', 'max', 'first', 'last', 'latest']

/** Chooses the state and the reader of a feature. Throws TM_AGGREGATION_UNSUPPORTED. */
export function compileAggregation(feature: FeaturePlan): Aggregator {
  const { aggregation } = feature
  if (feature.bucketBy !== null) throw unsupported(feature, 'bucketBy')
  switch (aggregation.kind) {
    case 'count':
    case 'countWhere':
      return aggregator<CountCells>(aggregation.kind, null, () => new CountCells(), readCount)
    case 'sum': {
      const integer = feature.type.kind === 'int64'
      return aggregator<SumCells>('sum', null, () => new SumCells(), integer ? readIntegerSum : readSum)
    }
    case 'mean':
      return aggregator<SumCells>('sum', null, () => new SumCells(), readMean)
    case 'min':
      return aggregator<ExtremeCells>('min', null, () => new ExtremeCells(1), readExtreme)
    case 'max':
      return aggregator<ExtremeCells>('max', null, () => new ExtremeCells(-1), readExtreme)
    case 'first':
    case 'last':
    case 'latest': {
      const { type } = aggregation.input
      const sign = aggregation.kind === 'first' ? 1 : -1
      return aggregator<OrderedCells>(aggregation.kind, type, () => new OrderedCells(sign, type), readOrdered)
    }
    default:
      throw unsupported(feature, aggregation.kind)
  }
}

function unsupported(feature: FeaturePlan, what: string): Error {
  return failKernel(
    'TM_AGGREGATION_UNSUPPORTED',
    `feature ${feature.name}: ${what} cannot be computed by this version; it knows ${SUPPORTED.join(', ')}`,
    { details: { feature: feature.name, aggregation: what, supported: SUPPORTED } },
  )
}

/** The cells given to `read` are those that `create` made: the one place where their type is asserted. */
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

function setNumber(out: ResultColumn, row: number, value: number): void {
  if (!Number.isFinite(value)) return setNull(out, row, STATUS.INVALID)
  out.numbers[row] = value
  out.nulls[row] = 0
  out.statuses[row] = STATUS.PRESENT
}

function readCount(cells: CountCells, cell: number, out: ResultColumn, row: number): void {
  out.numbers[row] = cells.count[cell]
  out.nulls[row] = 0
  out.statuses[row] = cells.count[cell] === 0 ? STATUS.EMPTY_WINDOW : STATUS.PRESENT
}

function readSum(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) setNull(out, row, STATUS.EMPTY_WINDOW)
  else setNumber(out, row, cells.rounded(cell))
}

function readIntegerSum(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) return setNull(out, row, STATUS.EMPTY_WINDOW)
  const sum = cells.exact(cell) >> 1074n
  if (sum < INT64_MIN || sum > INT64_MAX) return setNull(out, row, STATUS.INVALID)
  out.bigints[row] = sum
  out.nulls[row] = 0
  out.statuses[row] = STATUS.PRESENT
}

/** round(round(Σ) / n), as the design fixes it. */
function readMean(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) return setNull(out, row, STATUS.EMPTY_WINDOW)
  setNumber(out, row, cells.rounded(cell) / cells.count[cell] + 0)
}

function readExtreme(cells: ExtremeCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.isEmpty(cell)) setNull(out, row, STATUS.EMPTY_WINDOW)
  else setNumber(out, row, cells.value(cell))
}

function readOrdered(cells: OrderedCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.isEmpty(cell)) return setNull(out, row, STATUS.EMPTY_WINDOW)
  const value = cells.values[cell]
  if (value === null) return setNull(out, row, STATUS.PRESENT)
  out.nulls[row] = 0
  out.statuses[row] = STATUS.PRESENT
  if (out.storage === 'numbers') out.numbers[row] = Number(value)
  else if (out.storage === 'bigints') out.bigints[row] = BigInt(value as bigint)
  else out.objects[row] = value
}
