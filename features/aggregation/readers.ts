import type { Value } from '../plan/field-type.ts'
import type { BucketedCells } from './bucketed-cells.ts'
import type { Aggregator } from './cells.ts'
import type { CountCells } from './count-cells.ts'
import type { ExtremeCells } from './extreme-cells.ts'
import type { OrderedCells } from './ordered-cells.ts'
import { STATUS, createResultColumn, resultValue, setNull } from './result-column.ts'
import type { ResultColumn } from './result-column.ts'
import type { SumCells } from './sum-cells.ts'
import { keyToValue } from './value-keys.ts'
import type { ValueType } from '../plan/field-type.ts'

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** How an aggregation's value is read from its state (see `Aggregator.read`). */

/** Finite, or null and INVALID. */
export function setNumber(out: ResultColumn, row: number, value: number): void {
  if (!Number.isFinite(value)) return setNull(out, row, STATUS.INVALID)
  out.numbers[row] = value
  setPresent(out, row)
}

/** An int64, or null and INVALID beyond it. */
export function setInteger(out: ResultColumn, row: number, value: bigint): void {
  if (value < INT64_MIN || value > INT64_MAX) return setNull(out, row, STATUS.INVALID)
  out.bigints[row] = value
  setPresent(out, row)
}

export function setObject(out: ResultColumn, row: number, value: Value): void {
  out.objects[row] = value
  setPresent(out, row)
}

/** A count: 0 is an empty window. */
export function setCount(out: ResultColumn, row: number, count: number): void {
  out.numbers[row] = count
  out.nulls[row] = 0
  out.statuses[row] = count === 0 ? STATUS.EMPTY_WINDOW : STATUS.PRESENT
}

export function setPresent(out: ResultColumn, row: number): void {
  out.nulls[row] = 0
  out.statuses[row] = STATUS.PRESENT
}

export function readCount(cells: CountCells, cell: number, out: ResultColumn, row: number): void {
  setCount(out, row, cells.count[cell])
}

export function readSum(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) setNull(out, row, STATUS.EMPTY_WINDOW)
  else setNumber(out, row, cells.rounded(cell))
}

export function readIntegerSum(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) return setNull(out, row, STATUS.EMPTY_WINDOW)
  setInteger(out, row, cells.integer(cell))
}

/** round(round(Σ) / n), as the design fixes it. */
export function readMean(cells: SumCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.count[cell] === 0) return setNull(out, row, STATUS.EMPTY_WINDOW)
  setNumber(out, row, cells.rounded(cell) / cells.count[cell] + 0)
}

export function readExtreme(cells: ExtremeCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.isEmpty(cell)) setNull(out, row, STATUS.EMPTY_WINDOW)
  else setNumber(out, row, cells.value(cell))
}

export function readOrdered(cells: OrderedCells, cell: number, out: ResultColumn, row: number): void {
  if (cells.isEmpty(cell)) return setNull(out, row, STATUS.EMPTY_WINDOW)
  const value = cells.values[cell]
  if (value === null) return setNull(out, row, STATUS.PRESENT)
  if (out.storage === 'numbers') out.numbers[row] = Number(value)
  else if (out.storage === 'bigints') out.bigints[row] = BigInt(value as bigint)
  else out.objects[row] = value
  setPresent(out, row)
}

/** A map from the bucket column's values, in canonical key order, to the inner aggregation's; an inner value without meaning is null. */
export function bucketReader(inner: Aggregator, type: ValueType): Aggregator['read'] {
  const single = createResultColumn(type, 1)
  return (outer, cell, t, out, row) => {
    const cells = outer as BucketedCells
    if (cells.isEmpty(cell)) return setNull(out, row, STATUS.EMPTY_WINDOW)
    const map = new Map<Value, Value>()
    for (const [key, innerCell] of cells.entries(cell)) {
      inner.read(cells.inner, innerCell, t, single, 0)
      map.set(keyToValue(cells.type, key), resultValue(single, 0))
    }
    setObject(out, row, map)
  }
}
