import { createSharedColumn } from '../features/aggregation/result-column.ts'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { referenceSets } from '../features/kernel/event-references.ts'
import type { EventReferences } from '../features/kernel/event-references.ts'
import { ViewKernel } from '../features/kernel/view-kernel.ts'
import type { Column } from '../features/values/column.ts'
import { emptyColumn } from './empty-column.ts'
import type { RowGroupResults } from './encode-row-group.ts'
import type { SpillSection } from './result-spill.ts'
import type { StoredResults, SweepTarget } from './sweep-target.ts'

/** Bytes that a result takes in memory: a number, null, status. Objects take more, by how much depends on what they are. */
const RESULT_BYTES = { numbers: 10, bigints: 10, objects: 100 } as const

/** Results of all views, in memory or in files, from the sweeps until their row group is encoded. */
export interface ResultStore {
  /** Whether results of a view may stay in its events, if those stay in memory until the row groups are encoded. */
  refersToEvents(view: number): boolean
  /** Where a view's units leave their results. `kept`: columns of its events that stay in memory; the same for all of its units. */
  target(view: number, kept: readonly Column[] | null): SweepTarget
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
  readonly #room: ResultRoom
  readonly #referenceSets: readonly (readonly (number | null)[])[]
  readonly #held: HeldResults[] = []

  constructor(room: ResultRoom) {
    this.#room = room
    this.#referenceSets = room.views.map((view) => referenceSets(new ViewKernel(view)))
  }

  refersToEvents(view: number): boolean {
    return this.#referenceSets[view].some((set) => set !== null)
  }

  target(view: number, kept: readonly Column[] | null): SweepTarget {
    const { columns, references } = (this.#held[view] ??= this.#hold(view, kept))
    return { kind: 'memory', columns: columns.map((column) => ({ ...column, objects: [] })), references }
  }

  add(view: number, { rows, objects }: StoredResults): void {
    objects.forEach((values, feature) => {
      const { objects: all } = this.#held[view].columns[feature]
      values.forEach((value, i) => (all[rows[i]] = value))
    })
  }

  rowGroup(rowGroup: number): RowGroupResults[] {
    const { firstRows, views } = this.#room
    const from = firstRows[rowGroup]
    const to = firstRows[rowGroup + 1]
    return views.map((_, view) => {
      const { columns, references, events } = (this.#held[view] ??= this.#hold(view, null))
      const slices = new Map<Int32Array | null, Int32Array>()
      for (const all of references) if (all !== null) slices.set(all, all.subarray(from, to))
      return {
        kind: 'memory',
        columns: columns.map((column, feature) => {
          const referred = slices.get(references[feature])
          if (referred === undefined) return sliceResults(column, from, to)
          return { storage: 'references', type: column.type, references: referred, of: events[feature] }
        }),
      }
    })
  }

  /** `kept`: the source's columns of the view's events, where they stay. */
  #hold(view: number, kept: readonly Column[] | null): HeldResults {
    const { plan } = this.#room.views[view]
    const rows = this.#room.firstRows[this.#room.firstRows.length - 1]
    const sets = plan.features.map((_, feature) => (kept === null ? null : this.#referenceSets[view][feature]))
    const bySet = new Map<number | null, Int32Array | null>([[null, null]])
    for (const set of sets) if (!bySet.has(set)) bySet.set(set, new Int32Array(new SharedArrayBuffer(4 * rows)))
    const fields = new Map(plan.source.fields.map(({ name }, field) => [name, field]))
    return {
      columns: plan.features.map(({ type }, feature) => createSharedColumn(type, sets[feature] === null ? rows : 0)),
      references: sets.map((set) => bySet.get(set) ?? null),
      events: plan.features.map(({ aggregation: { input } }) =>
        kept !== null && input !== null && 'column' in input ? kept[fields.get(input.column)!] : NO_EVENTS,
      ),
    }
  }
}

/** A view's, by feature. */
interface HeldResults {
  readonly columns: readonly ResultColumn[]
  readonly references: EventReferences
  /** What references refer to. */
  readonly events: readonly Column[]
}

const NO_EVENTS = emptyColumn({ kind: 'float64' })

function sliceResults(column: ResultColumn, from: number, to: number): ResultColumn {
  return {
    ...column,
    numbers: column.numbers.subarray(from, to),
    bigints: column.bigints.subarray(from, to),
    objects: column.objects.slice(from, to),
    nulls: column.nulls.subarray(from, to),
    statuses: column.statuses.subarray(from, to),
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

  refersToEvents(): boolean {
    return false
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
