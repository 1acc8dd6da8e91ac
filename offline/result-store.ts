import { createSharedColumn } from '../features/aggregation/result-column.ts'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import type { RowGroupResults } from './encode-row-group.ts'
import type { SpillSection } from './result-spill.ts'
import type { StoredResults, SweepTarget } from './sweep-target.ts'

/** Bytes that a result takes in memory: a number, null, status. Objects take more, by how much depends on what they are. */
const RESULT_BYTES = { numbers: 10, bigints: 10, objects: 100 } as const

/** Results of all views, in memory or in files, from the sweeps until their row group is encoded. */
export interface ResultStore {
  /** Where a view's units leave their results. */
  target(view: number): SweepTarget
  /** Takes what a unit left behind. */
  add(view: number, stored: StoredResults): void
  /** By view; once per row group. */
  rowGroup(rowGroup: number): RowGroupResults[]
}

export interface ResultRoom {
  readonly views: readonly CompiledView[]
  /** The first row of each row group, then the number of rows. */
  readonly firstRows: Int32Array
  readonly bytesMax: number
  /** For results that do not fit. */
  readonly folder: string
}

export function createResultStore(room: ResultRoom): ResultStore {
  const rows = room.firstRows[room.firstRows.length - 1]
  const bytes = room.views
    .flatMap(({ plan }) => plan.features)
    .reduce((sum, { type }) => sum + RESULT_BYTES[createSharedColumn(type, 0).storage], 0)
  return rows * bytes <= room.bytesMax ? new ResultsInMemory(room) : new SpilledResults(room)
}

class ResultsInMemory implements ResultStore {
  readonly #firstRows: Int32Array
  readonly #columns: readonly (readonly ResultColumn[])[]

  constructor({ views, firstRows }: ResultRoom) {
    this.#firstRows = firstRows
    const rows = firstRows[firstRows.length - 1]
    this.#columns = views.map(({ plan }) => plan.features.map(({ type }) => createSharedColumn(type, rows)))
  }

  target(view: number): SweepTarget {
    return { kind: 'memory', columns: this.#columns[view].map((column) => ({ ...column, objects: [] })) }
  }

  add(view: number, { rows, objects }: StoredResults): void {
    objects.forEach((values, feature) => {
      const { objects: all } = this.#columns[view][feature]
      values.forEach((value, i) => (all[rows[i]] = value))
    })
  }

  rowGroup(rowGroup: number): RowGroupResults[] {
    const from = this.#firstRows[rowGroup]
    const to = this.#firstRows[rowGroup + 1]
    return this.#columns.map((columns) => ({
      kind: 'memory',
      columns: columns.map((column) => ({
        ...column,
        numbers: column.numbers.subarray(from, to),
        bigints: column.bigints.subarray(from, to),
        objects: column.objects.slice(from, to),
        nulls: column.nulls.subarray(from, to),
        statuses: column.statuses.subarray(from, to),
      })),
    }))
  }
}

class SpilledResults implements ResultStore {
  readonly #room: ResultRoom
  /** By view, then row group. */
  readonly #sections: readonly SpillSection[][][]

  constructor(room: ResultRoom) {
    this.#room = room
    this.#sections = room.views.map(() => Array.from({ length: room.firstRows.length - 1 }, () => []))
  }

  target(): SweepTarget {
    return { kind: 'spill', folder: this.#room.folder, firstRows: this.#room.firstRows }
  }

  add(view: number, { sections }: StoredResults): void {
    for (const section of sections) this.#sections[view][section.rowGroup].push(section)
  }

  rowGroup(rowGroup: number): RowGroupResults[] {
    return this.#room.views.map(({ plan }, view) => ({
      kind: 'spill',
      sections: this.#sections[view][rowGroup],
      types: plan.features.map(({ type }) => type),
    }))
  }
}
