import type { AggregationKind } from '../plan/view-plan.ts'
import { isMissing } from './rules.ts'
import type { ViewKernel } from './view-kernel.ts'

/** Evaluation times of one state that all give the same values and statuses: from ≤ t < until, epoch ms. */
export interface SteadySpan {
  readonly from: number
  readonly until: number
}

/** Whether a value depends on t other than through the tiles of its window. A record, so that a new aggregation cannot be forgotten. */
const READS_TIME: Readonly<Record<AggregationKind, boolean>> = {
  count: false,
  countWhere: false,
  sum: false,
  mean: false,
  min: false,
  max: false,
  any: false,
  all: false,
  first: false,
  last: false,
  latest: false,
  variance: false,
  stddev: false,
  skewness: false,
  kurtosis: false,
  firstN: false,
  lastN: false,
  topN: false,
  bottomN: false,
  distinctCount: false,
  valueCounts: false,
  approxDistinctCount: false,
  quantile: false,
  histogram: false,
  vectorSum: false,
  vectorMean: false,
  decayedSum: true,
  decayedCount: true,
}

/**
 * The span around t in which a state with this newest τ evaluates to the same bits as at t: no window moves on by a tile, and the entity neither
 * expires nor goes missing. t is an integer > newest τ.
 */
export function steadySpan(kernel: ViewKernel, newestTau: number, t: number): SteadySpan {
  const { ttlMs, features } = kernel.view.plan
  if (newestTau === -Infinity) return { from: -Infinity, until: Infinity }
  const missingFrom = newestTau + kernel.retentionMs + 1
  if (isMissing(kernel, newestTau, t)) return { from: missingFrom, until: Infinity }
  const expiredFrom = newestTau + (ttlMs ?? Infinity) + 1
  if (t >= expiredFrom) return { from: expiredFrom, until: missingFrom }
  if (features.some(({ aggregation }) => READS_TIME[aggregation.kind])) return { from: t, until: t + 1 }
  let from = newestTau + 1
  let until = Math.min(missingFrom, expiredFrom)
  for (const { hopMs } of kernel.tracks) {
    if (hopMs === Infinity) continue
    const start = Math.floor(t / hopMs) * hopMs
    from = Math.max(from, start)
    until = Math.min(until, start + hopMs)
  }
  return { from, until }
}
