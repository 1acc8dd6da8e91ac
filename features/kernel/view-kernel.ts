import { compileAggregation } from '../aggregation/compile-aggregation.ts'
import type { Aggregator, SlotInput, SlotSpec } from '../aggregation/cells.ts'
import { createResultColumn } from '../aggregation/result-column.ts'
import type { ResultColumn } from '../aggregation/result-column.ts'
import { invariant } from '../errors/tidemark-error.ts'
import { canonicalJson } from '../plan/canonical-json.ts'
import type { FeaturePlan, InputPlan } from '../plan/view-plan.ts'
import { COLUMN_STORAGE } from '../values/column.ts'
import type { Column, ColumnStorage } from '../values/column.ts'
import type { EventBatch } from '../values/event-batch.ts'
import type { CompiledView } from './compiled-view.ts'
import { createEventCursor } from './event-row.ts'
import { FunctionFailures } from './function-failures.ts'
import { running } from './running-function.ts'
import { coerceResult, createColumnBuilder } from './function-results.ts'
import { compileRules } from './rules.ts'
import type { RowRule } from './rules.ts'

/** One accumulator of a track, and the features read from it. */
export interface Slot {
  readonly spec: SlotSpec
  /** Number of its input in `ViewKernel.inputs`, or −1. */
  readonly input: number
  /** Column number of `bucketBy`, or −1. */
  readonly bucketColumn: number
  /** True where null inputs are part of the aggregation (`latest`). */
  readonly seesNulls: boolean
  /** The features by window, longest last; windows of one track differ in length only. */
  readonly windows: readonly SlotWindow[]
}

export interface SlotWindow {
  /** Window length in hops (tiles), Infinity for lifetime. */
  readonly tiles: number
  readonly readers: readonly { readonly feature: number; readonly aggregator: Aggregator }[]
}

/** All slots whose windows have one hop: they share tiles. */
export interface Track {
  /** Infinity for lifetime (a single tile, number 0). */
  readonly hopMs: number
  /** The longest window in tiles. */
  readonly tilesMax: number
  readonly slots: readonly Slot[]
}

/** A batch as a view sees it: which events pass `where`, and the inputs of its aggregations. */
export interface PreparedBatch {
  readonly batch: EventBatch
  /** 1 where the event passed `where`; null: all did. */
  readonly selected: Uint8Array | null
  /** By number of the input; null where it is a column of the batch as it is. */
  readonly computed: readonly (Column | null)[]
}

/** A view version, compiled to tracks of slots. Stateless but for error counts: one kernel serves any number of tables and sweeps. */
export class ViewKernel {
  readonly view: CompiledView
  readonly tracks: readonly Track[]
  readonly rules: readonly (RowRule | null)[]
  /** After this long without events an entity reads MISSING; Infinity in a view with lifetime values. */
  readonly retentionMs: number
  /** Calls of the view's functions that gave nothing. */
  readonly failures = new FunctionFailures()
  readonly #inputs: InputPlan[] = []
  readonly #inputColumns: number[] = []
  /** By input, the first feature that reads it. */
  readonly #inputFeatures: string[] = []
  readonly #columnNumber: ReadonlyMap<string, number>

  constructor(view: CompiledView) {
    this.view = view
    this.#columnNumber = new Map(view.plan.source.fields.map((field, i) => [field.name, i]))
    this.tracks = this.#compileTracks()
    this.rules = view.plan.features.map((feature) => compileRules(feature))
    this.retentionMs = retention(view)
  }

  /** Runs `where` and input functions over a batch. */
  prepare(batch: EventBatch): PreparedBatch {
    const selected = this.#running('where', () => this.#select(batch))
    const computed = this.#inputs.map((input, number) => {
      if ('column' in input) return null
      const name = this.#inputFeatures[number]
      return this.#running(name, () => this.#computeInput(input, name, batch, selected))
    })
    return { batch, selected, computed }
  }

  /** What a slot reads from a prepared batch. */
  slotInput(slot: Slot, prepared: PreparedBatch): SlotInput {
    const { batch } = prepared
    return {
      column: slot.input < 0 ? null : this.inputColumn(slot.input, prepared),
      tau: batch.tau,
      offset: batch.offset,
      index: batch.index,
      bucket: slot.bucketColumn < 0 ? null : batch.columns[slot.bucketColumn],
    }
  }

  inputColumn(input: number, { batch, computed }: PreparedBatch): Column {
    return computed[input] ?? batch.columns[this.columnOfInput(input)]
  }

  /** Number of the source's field that an input is, −1 where a function computes it. */
  columnOfInput(input: number): number {
    return this.#inputColumns[input]
  }

  /** How input number `input` is stored in a column. */
  inputStorage(input: number): ColumnStorage {
    return COLUMN_STORAGE[this.#inputs[input].type.kind]
  }

  #compileTracks(): Track[] {
    const tracks = new Map<
      number,
      Map<string, { slot: Omit<Slot, 'windows'>; windows: Map<number, SlotWindow['readers'][number][]> }>
    >()
    this.view.plan.features.forEach((feature, number) => {
      const hopMs = feature.window.kind === 'lifetime' ? Infinity : feature.window.hopMs
      const tiles = feature.window.kind === 'lifetime' ? Infinity : feature.window.lengthMs / feature.window.hopMs
      const aggregator = compileAggregation(feature)
      const slot = this.#slotOf(feature, aggregator)
      const slots = tracks.get(hopMs) ?? new Map<string, never>()
      tracks.set(hopMs, slots)
      const key = canonicalJson([
        slot.spec.kind,
        slot.spec.params,
        slot.input,
        slot.bucketColumn,
        feature.bucketBy?.limit ?? 0,
      ])
      const entry = slots.get(key) ?? { slot, windows: new Map<number, SlotWindow['readers'][number][]>() }
      slots.set(key, entry)
      const readers = entry.windows.get(tiles) ?? []
      entry.windows.set(tiles, readers)
      readers.push({ feature: number, aggregator })
    })
    return [...tracks]
      .sort(([a], [b]) => a - b)
      .map(([hopMs, slots]) => {
        const compiled = [...slots]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([, { slot, windows }]) => ({
            ...slot,
            windows: [...windows].sort(([a], [b]) => a - b).map(([tiles, readers]) => ({ tiles, readers })),
          }))
        return {
          hopMs,
          tilesMax: Math.max(...compiled.map((slot) => slot.windows.at(-1)?.tiles ?? 0)),
          slots: compiled,
        }
      })
  }

  #slotOf(feature: FeaturePlan, aggregator: Aggregator): Omit<Slot, 'windows'> {
    const input = feature.aggregation.input
    return {
      spec: aggregator.slot,
      input: input === null ? -1 : this.#inputNumber(input, feature.name),
      bucketColumn: feature.bucketBy === null ? -1 : this.#column(feature.bucketBy.column),
      seesNulls: feature.aggregation.kind === 'latest',
    }
  }

  #inputNumber(input: InputPlan, feature: string): number {
    const key = canonicalJson(input)
    const known = this.#inputs.findIndex((other) => canonicalJson(other) === key)
    if (known >= 0) return known
    this.#inputColumns.push('column' in input ? this.#column(input.column) : -1)
    this.#inputFeatures.push(feature)
    return this.#inputs.push(input) - 1
  }

  #column(name: string): number {
    const number = this.#columnNumber.get(name)
    invariant(number !== undefined, `view ${this.view.plan.name} reads the unknown column ${name}`)
    return number
  }

  /** `name`: `where`, or the feature whose input is computed. */
  #running<T>(name: string, run: () => T): T {
    const { plan } = this.view
    return running(
      plan,
      name,
      () => (name === 'where' ? `where of view ${plan.name}` : `the input of feature ${name} of view ${plan.name}`),
      run,
    )
  }

  #select(batch: EventBatch): Uint8Array | null {
    const { where, source } = this.view.plan
    if (where === null) return null
    const predicate = this.view.functions[where]
    const cursor = createEventCursor(source, batch.columns)
    const selected = new Uint8Array(batch.length)
    for (let row = 0; row < batch.length; row++) {
      cursor.moveTo(row)
      try {
        const result = predicate(cursor.event)
        if (result === true) selected[row] = 1
        else if (result !== false) this.failures.returned('where', result)
      } catch (error) {
        this.failures.threw('where', error)
      }
    }
    return selected
  }

  /** `name`: what its failures are counted under. */
  #computeInput(
    input: InputPlan & { fn: number },
    name: string,
    batch: EventBatch,
    selected: Uint8Array | null,
  ): Column {
    const fn = this.view.functions[input.fn]
    const cursor = createEventCursor(this.view.plan.source, batch.columns)
    const builder = createColumnBuilder(input.type, batch.length)
    for (let row = 0; row < batch.length; row++) {
      if (selected !== null && selected[row] === 0) continue
      cursor.moveTo(row)
      try {
        const result = fn(cursor.event)
        const value = coerceResult(input.type, result)
        if (value === undefined) this.failures.returned(name, result)
        else builder.set(row, value)
      } catch (error) {
        this.failures.threw(name, error)
      }
    }
    return builder.finish()
  }
}

/** One empty result column per feature of the view. */
export function createResultColumns(view: CompiledView, rows: number): ResultColumn[] {
  return view.plan.features.map((feature) => createResultColumn(feature.type, rows))
}

function retention(view: CompiledView): number {
  let longest = view.plan.ttlMs ?? 0
  let hop = 0
  for (const { window } of view.plan.features) {
    if (window.kind === 'lifetime') return Infinity
    longest = Math.max(longest, window.lengthMs)
    hop = Math.max(hop, window.hopMs)
  }
  return longest + hop
}
