import type { StatusName } from '../features/aggregation/result-column.ts'
import type { OutputColumn } from './export.ts'

/** What a manifest says of a column; the baseline that later profiles are compared with. */
export interface ColumnStatistics {
  readonly name: string
  readonly type: string
  readonly nulls: number
  readonly statuses: Readonly<Partial<Record<StatusName, number>>>
  /** Of numbers. */
  readonly min?: number
  readonly max?: number
  readonly mean?: number
  /** Deciles of the numbers: edges e1…e9 and counts of (−∞, e1], (e1, e2], …, (e9, ∞). */
  readonly histogram?: { readonly edges: readonly number[]; readonly counts: readonly number[] }
  /** Of strings: the most frequent values, at most 20. */
  readonly top?: readonly (readonly [string, number])[]
}

export function describeColumn({ name, type, values, statuses }: OutputColumn): ColumnStatistics {
  const statusCounts: Partial<Record<StatusName, number>> = {}
  for (const status of statuses) statusCounts[status] = (statusCounts[status] ?? 0) + 1
  const present = values.filter((value) => value !== null)
  const base = { name, type: type.kind, nulls: values.length - present.length, statuses: statusCounts }
  const numbers = present.filter((value) => typeof value === 'number' || typeof value === 'bigint').map(Number)
  if (numbers.length > 0) return { ...base, ...describeNumbers(numbers) }
  const counts = new Map<string, number>()
  for (const value of present) if (typeof value === 'string') counts.set(value, (counts.get(value) ?? 0) + 1)
  const top = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 20)
  return top.length === 0 ? base : { ...base, top }
}

function describeNumbers(numbers: readonly number[]): Pick<ColumnStatistics, 'min' | 'max' | 'mean' | 'histogram'> {
  const sorted = Float64Array.from(numbers).sort()
  const edges = [...new Set(Array.from({ length: 9 }, (_, i) => sorted[Math.floor(((i + 1) * sorted.length) / 10)]))]
  const counts = Array.from({ length: edges.length + 1 }, () => 0)
  let bin = 0
  let total = 0
  for (const value of sorted) {
    while (bin < edges.length && value > edges[bin]) bin++
    counts[bin]++
    total += value
  }
  return { min: sorted[0], max: sorted[sorted.length - 1], mean: total / sorted.length, histogram: { edges, counts } }
}
