import { createResultColumn } from '../features/aggregation/result-column.ts'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { EventReferences } from '../features/kernel/event-references.ts'
import type { Value, ValueType } from '../features/plan/field-type.ts'
import type { ResultSpill, SpillSection } from './result-spill.ts'

/** Where the results of a view go. */
export type SweepTarget =
  /** Columns of all rows, or what they refer to; numbers in shared memory, objects come back with the unit. */
  | { readonly kind: 'memory'; readonly columns: readonly ResultColumn[]; readonly references?: EventReferences }
  /** A file in this folder, apart by row group of the output. */
  | { readonly kind: 'spill'; readonly folder: string; readonly firstRows: Int32Array }

/** What a unit leaves behind besides what lies in shared memory. */
export interface StoredResults {
  /** The rows of `objects`, if there are any. */
  readonly rows: Int32Array
  /** By feature; empty where results are numbers. */
  readonly objects: readonly (readonly Value[])[]
  readonly sections: readonly SpillSection[]
}

/** Columns and places for the results of rows `rows`, and what to do when they are there. */
export interface OpenTarget {
  readonly out: ResultColumn[]
  readonly place: Int32Array
  readonly references?: EventReferences
  readonly store: () => StoredResults
}

const NOTHING: StoredResults = { rows: new Int32Array(0), objects: [], sections: [] }

export function openTarget(
  target: SweepTarget,
  types: readonly ValueType[],
  rows: Int32Array,
  spill: () => ResultSpill,
): OpenTarget {
  if (target.kind === 'memory' && target.columns.every(({ storage }) => storage !== 'objects'))
    return { out: [...target.columns], place: rows, references: target.references, store: () => NOTHING }
  const out = types.map((type) => createResultColumn(type, rows.length))
  const place = Int32Array.from(rows, (_, i) => i)
  if (target.kind === 'spill')
    return { out, place, store: () => ({ ...NOTHING, sections: spill().write(rows, out, target.firstRows) }) }
  const local = new Map<Int32Array | null, Int32Array | null>([[null, null]])
  for (const all of target.references ?? []) if (all !== null) local.set(all, new Int32Array(rows.length))
  return {
    out,
    place,
    references: target.references?.map((all) => local.get(all) ?? null),
    store: () => {
      for (const [all, own] of local)
        if (all !== null && own !== null) for (let i = 0; i < rows.length; i++) all[rows[i]] = own[i]
      out.forEach((column, f) => {
        if ((target.references?.[f] ?? null) === null) scatter(column, rows, target.columns[f])
      })
      return { rows, objects: out.map(({ objects }) => objects), sections: [] }
    },
  }
}

/** Row i of a column becomes row `rows[i]` of another; objects apart. */
export function scatter(from: ResultColumn, rows: Int32Array, to: ResultColumn): void {
  for (let i = 0; i < rows.length; i++) {
    to.nulls[rows[i]] = from.nulls[i]
    to.statuses[rows[i]] = from.statuses[i]
  }
  if (from.storage === 'numbers') for (let i = 0; i < rows.length; i++) to.numbers[rows[i]] = from.numbers[i]
  else if (from.storage === 'bigints') for (let i = 0; i < rows.length; i++) to.bigints[rows[i]] = from.bigints[i]
}
