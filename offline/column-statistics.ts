import { STATUS, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { ResultColumn, StatusName } from '../features/aggregation/result-column.ts'
import type { ValueType } from '../features/plan/field-type.ts'
import type { FeaturePlan } from '../features/plan/view-plan.ts'

/** What a manifest says of a column; the baseline that later profiles are compared with. */
export interface ColumnStatistics {
  readonly name: string
  readonly type: string
  readonly nulls: number
  readonly statuses: Readonly<Partial<Record<StatusName, number>>>
  /** Of features, not of derived fields. */
  readonly window?: WindowDescription
  /** Of numbers. */
  readonly min?: number
  readonly max?: number
  readonly mean?: number
  /** Edges e1 < … < ek (k ≤ 9, values of the column near its deciles) and exact counts of (−∞, e1), [e1, e2), …, [ek, ∞). */
  readonly histogram?: { readonly edges: readonly number[]; readonly counts: readonly number[] }
  /** Of strings: the most frequent values, at most 20; absent beyond 100,000 distinct values. */
  readonly top?: readonly (readonly [string, number])[]
}

/** Which events a column's value at t is made of: those at `[floor((t − lengthMs) / hopMs) · hopMs, t)`; `[−∞, t)` without a window. */
export interface WindowDescription {
  readonly lengthMs: number | 'lifetime'
  readonly hopMs?: number
  readonly rule: string
}

export function describeWindow({ window }: FeaturePlan): WindowDescription {
  if (window.kind === 'lifetime') return { lengthMs: 'lifetime', rule: 'tau < t' }
  const { lengthMs, hopMs } = window
  return { lengthMs, hopMs, rule: 'floor((t - lengthMs) / hopMs) * hopMs <= tau < t' }
}

const DECILES = 9
const TOP = 20
const DISTINCT_MAX = 100_000
/** Buckets of doubles by sign, exponent and the first 6 bits of the fraction: 1.6 % wide. */
const BUCKET_SHIFT = 14
const BUCKETS = 1 << (32 - BUCKET_SHIFT)

/** Those that are not empty, ascending; the count of each, and its least value. */
interface Buckets {
  readonly numbers: Int32Array
  readonly counts: Float64Array
  readonly leasts: Float64Array
}

/** Of some rows of a column. What `merge` makes of parts in row order does not depend on who computed them, or when. */
export interface ColumnSummary {
  nulls: number
  readonly statuses: number[]
  count: number
  min: number
  max: number
  /** Σ with Neumaier's compensation. */
  sum: number
  compensation: number
  buckets: Buckets
  /** Count by string; null where there are too many. */
  strings: Map<string, number> | null
}

export function emptySummary(): ColumnSummary {
  return {
    nulls: 0,
    statuses: STATUS_NAMES.map(() => 0),
    count: 0,
    min: Infinity,
    max: -Infinity,
    sum: 0,
    compensation: 0,
    buckets: bucketsFor(0),
    strings: new Map(),
  }
}

const counts = new Uint32Array(BUCKETS)
const leasts = new Float64Array(BUCKETS)
const touchedBuckets = new Int32Array(BUCKETS)

export function summarise(column: ResultColumn, rows: number): ColumnSummary {
  const summary = emptySummary()
  if (isZero(column.nulls, rows) && isZero(column.statuses, rows)) summary.statuses[STATUS.PRESENT] = rows
  else countStates(summary, column, rows)
  if (column.storage === 'numbers' && column.type.kind !== 'bool')
    addNumbers(summary, column.numbers, column.nulls, rows)
  else if (column.storage === 'bigints')
    addNumbers(summary, Float64Array.from(column.bigints, Number), column.nulls, rows)
  else if (column.storage === 'objects') {
    for (let row = 0; row < rows; row++) {
      const value = column.objects[row]
      if (column.nulls[row] === 0 && typeof value === 'string') addString(summary, value, 1)
    }
  }
  return summary
}

function countStates(summary: ColumnSummary, { nulls, statuses }: ResultColumn, rows: number): void {
  const counted = new Int32Array(256)
  let absent = 0
  for (let row = 0; row < rows; row++) {
    absent += nulls[row]
    counted[statuses[row]]++
  }
  summary.nulls = absent
  STATUS_NAMES.forEach((_, status) => (summary.statuses[status] = counted[status]))
}

/** Four bytes at a time: most columns have no null and one status. */
function isZero(bytes: Uint8Array, length: number): boolean {
  let at = 0
  for (; (bytes.byteOffset + at) % 4 > 0 && at < length; at++) if (bytes[at] !== 0) return false
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (length - at) >> 2)
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false
  for (at += 4 * words.length; at < length; at++) if (bytes[at] !== 0) return false
  return true
}

function bucketsFor(length: number): Buckets {
  return {
    numbers: new Int32Array(length),
    counts: new Float64Array(length),
    leasts: new Float64Array(length),
  }
}

function addNumbers(summary: ColumnSummary, values: Float64Array, nulls: Uint8Array, rows: number): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * rows)
  let touched = 0
  // In plain numbers: fields of an object would change their representation with the first fraction.
  let count = 0
  let min = Infinity
  let max = -Infinity
  let sum = 0
  let compensation = 0
  for (let row = 0; row < rows; row++) {
    if (nulls[row] === 1) continue
    const value = values[row]
    count++
    if (value < min) min = value
    if (value > max) max = value
    const next = sum + value
    compensation += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum
    sum = next
    const bucket = words[2 * row + 1] >>> BUCKET_SHIFT
    if (counts[bucket] === 0) {
      touchedBuckets[touched++] = bucket
      leasts[bucket] = value
    } else if (value < leasts[bucket]) leasts[bucket] = value
    counts[bucket]++
  }
  summary.count = count
  summary.min = min
  summary.max = max
  summary.sum = sum
  summary.compensation = compensation
  summary.buckets = takeBuckets(touchedBuckets.slice(0, touched).sort())
}

/** Those buckets of `counts` and `leasts`, which are empty then. */
function takeBuckets(numbers: Int32Array): Buckets {
  const buckets = { ...bucketsFor(numbers.length), numbers }
  for (let i = 0; i < numbers.length; i++) {
    const bucket = numbers[i]
    buckets.counts[i] = counts[bucket]
    buckets.leasts[i] = leasts[bucket]
    counts[bucket] = 0
  }
  return buckets
}

function addString(summary: ColumnSummary, value: string, count: number): void {
  if (summary.strings === null) return
  summary.strings.set(value, (summary.strings.get(value) ?? 0) + count)
  if (summary.strings.size > DISTINCT_MAX) summary.strings = null
}

/** Adds the rows that follow. */
export function mergeSummary(into: ColumnSummary, next: ColumnSummary): void {
  into.nulls += next.nulls
  next.statuses.forEach((count, status) => (into.statuses[status] += count))
  into.count += next.count
  into.min = Math.min(into.min, next.min)
  into.max = Math.max(into.max, next.max)
  const sum = into.sum + next.sum
  into.compensation +=
    next.compensation +
    (Math.abs(into.sum) >= Math.abs(next.sum) ? into.sum - sum + next.sum : next.sum - sum + into.sum)
  into.sum = sum
  into.buckets = mergeBuckets(into.buckets, next.buckets)
  if (next.strings === null) into.strings = null
  else for (const [value, count] of next.strings) addString(into, value, count)
}

function mergeBuckets(a: Buckets, b: Buckets): Buckets {
  const merged = bucketsFor(a.numbers.length + b.numbers.length)
  let length = 0
  for (let i = 0, k = 0; i < a.numbers.length || k < b.numbers.length; length++) {
    const left = i < a.numbers.length ? a.numbers[i] : BUCKETS
    const right = k < b.numbers.length ? b.numbers[k] : BUCKETS
    merged.numbers[length] = Math.min(left, right)
    merged.leasts[length] = Infinity
    if (left <= right) {
      merged.counts[length] += a.counts[i]
      merged.leasts[length] = a.leasts[i++]
    }
    if (right <= left) {
      merged.counts[length] += b.counts[k]
      merged.leasts[length] = Math.min(merged.leasts[length], b.leasts[k++])
    }
  }
  const { numbers, counts: counted, leasts: least } = merged
  return {
    numbers: numbers.subarray(0, length),
    counts: counted.subarray(0, length),
    leasts: least.subarray(0, length),
  }
}

export function describeColumn(name: string, type: ValueType, summary: ColumnSummary): ColumnStatistics {
  const statuses = Object.fromEntries(
    STATUS_NAMES.map((status, i) => [status, summary.statuses[i]] as const).filter(([, count]) => count > 0),
  )
  const base = { name, type: type.kind, nulls: summary.nulls, statuses }
  if (summary.count > 0) {
    const mean = (summary.sum + summary.compensation) / summary.count
    return {
      ...base,
      min: summary.min,
      max: summary.max,
      ...(Number.isFinite(mean) ? { mean } : {}),
      histogram: histogramOf(summary),
    }
  }
  const top = [...(summary.strings ?? [])].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, TOP)
  return top.length === 0 ? base : { ...base, top }
}

function histogramOf({ buckets, count }: ColumnSummary): { edges: number[]; counts: number[] } {
  const ordered = Array.from(buckets.counts, (inBucket, i) => [inBucket, buckets.leasts[i]] as const).sort(
    (a, b) => a[1] - b[1],
  )
  const edges: number[] = []
  const counted: number[] = []
  let below = 0
  let before = 0
  ordered.forEach(([inBucket, least], i) => {
    // An edge at the first bucket at or beyond the next decile; the least value is no edge, as nothing lies below it.
    if (i > 0 && edges.length < DECILES && below >= ((edges.length + 1) * count) / (DECILES + 1)) {
      edges.push(least)
      counted.push(below - before)
      before = below
    }
    below += inBucket
  })
  return { edges, counts: [...counted, count - before] }
}
