import type { FunctionFailure } from '../features/kernel/function-failures.ts'
import type { GitState } from '../registry/registry.ts'
import type { ColumnStatistics } from './column-statistics.ts'

/** Which clock decides what a row sees. */
export type AsOf = 'arrival' | 'served' | 'event-time'

/** Where an export's archive ended: what a rerun needs to see the same events. */
export interface PinnedPositions {
  /** Archived end position by `<keyed log>/<partition>`. */
  readonly positions: Readonly<Record<string, number>>
  /** By keyed log: which creation of it the positions belong to. */
  readonly incarnations: Readonly<Record<string, string>>
  /** Log time (epoch ms) up to which the archive was known to be complete: no row may be later, except by event time. */
  readonly completeUntil: number
}

/** What a training set was made from, and what is in it. The same for every run from the same positions. */
export interface Manifest extends PinnedPositions {
  readonly service: { readonly name: string; readonly version: string } & GitState
  readonly views: Readonly<Record<string, string>>
  readonly asOf: AsOf
  readonly timestamp: string
  readonly spineSha256: string
  readonly outputSha256: string
  readonly rows: number
  readonly columns: readonly ColumnStatistics[]
  /** Calls of user functions that gave null, over the events and rows that the export read, by view or service, function and code. */
  readonly functionFailures: readonly (FunctionFailure & { readonly name: string })[]
  /** Features with more nulls than their `nullShare` rule allows. */
  readonly nullShareBroken: readonly { readonly name: string; readonly nullShare: number; readonly allowed: number }[]
}
