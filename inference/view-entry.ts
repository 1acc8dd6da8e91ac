import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { StatusName } from '../features/aggregation/result-column.ts'
import type { StateParts } from '../features/kernel/state-parts.ts'
import { steadySpan } from '../features/kernel/steady-span.ts'
import type { SteadySpan } from '../features/kernel/steady-span.ts'
import type { Value } from '../features/plan/field-type.ts'
import { bucketOf, entityKeyBytes, partitionOf } from '../features/values/entity-key.ts'
import { murmur2 } from '../features/values/murmur2.ts'
import { valueToJson } from '../features/values/json-values.ts'
import type { EntityRead, EntityReadResult, Marker } from '../stores/online/online-store.ts'
import { failInference } from './errors.ts'
import type { ViewPart } from './service-layout.ts'

/** Where a view's values of a row come from (see DESIGN: stamp). `nextOffset` in decimal digits. */
export interface Stamp {
  readonly view: string
  readonly version: string
  readonly incarnation: string
  readonly partition: number
  readonly nextOffset: string
}

/** The values that a view gives for an entity, and their JSON, per run of the service's vector. Never changed once made. */
export interface ViewValues {
  readonly values: readonly (readonly Value[])[]
  readonly statuses: readonly (readonly StatusName[])[]
  readonly valuesJson: readonly string[]
  readonly statusesJson: readonly string[]
  readonly span: SteadySpan
}

const ENTRY_BYTES = 400
const VALUE_BYTES = 40

/**
 * One entity of one view as last read: its stored state, and the values that gave. They are used again while the store holds the same state bytes and
 * the evaluation time lies in their span, which gives the same bits by definition of the span.
 */
export class ViewEntry {
  readonly read: EntityRead
  readonly partition: number
  readonly bucket: number
  /** Kafka's murmur2 of the key; 0 for a null key. */
  readonly keyHash: number
  readonly #part: ViewPart
  #state: StateParts | null = null
  #newestTau = -Infinity
  #values: ViewValues | null = null
  #stamp: Stamp | null = null
  #stampJson = ''
  bytes = ENTRY_BYTES

  /** `key` null: a null key, which has no state. */
  constructor(part: ViewPart, key: Uint8Array | null, buckets: number, partitions: number) {
    this.#part = part
    this.keyHash = key === null ? 0 : murmur2(key)
    this.bucket = key === null ? 0 : bucketOf(key, buckets)
    this.partition = partitionOf(this.bucket, partitions)
    this.read = {
      keyedLog: part.keyedLog,
      bucket: this.bucket,
      keys: key === null ? [] : [{ view: part.view.version, key }],
    }
    this.bytes += 2 * (key?.length ?? 0)
  }

  /** Takes what the store holds now. Returns the newest τ of the state, −Infinity without one. TM_STATE_DAMAGED. */
  take({ states }: EntityReadResult): number {
    const state = states.length === 0 ? null : states[0]
    if (sameState(this.#state, state)) return this.#newestTau
    const { decoded, table, slot } = this.#part
    if (decoded.entry === this) decoded.entry = null
    const kept = state === null ? null : copyState(state)
    this.#state = kept
    this.#values = null
    this.#newestTau = -Infinity
    if (kept !== null) {
      this.#decode(kept)
      this.#newestTau = table.newestTau(slot)
    }
    return this.#newestTau
  }

  /** Values at t > newest τ, of the state taken last. `onEvaluate` is called where they were not there already. */
  valuesAt(t: number, onEvaluate: () => void): ViewValues {
    const held = this.#values
    if (held !== null && t >= held.span.from && t < held.span.until) return held
    onEvaluate()
    const { table, slot, out, runs, kernel } = this.#part
    if (this.#state !== null && this.#part.decoded.entry !== this) this.#decode(this.#state)
    table.evaluate(this.#state === null ? -1 : slot, t, out, 0)
    const values = runs.map((run) => run.map((feature) => resultValue(out[feature], 0)))
    const statuses = runs.map((run) => run.map((feature) => STATUS_NAMES[out[feature].statuses[0]]))
    const made: ViewValues = {
      values,
      statuses,
      valuesJson: values.map((run) => run.map(valueToJson).join(',')),
      statusesJson: statuses.map((run) => run.map((status) => `"${status}"`).join(',')),
      span: steadySpan(kernel, this.#newestTau, t),
    }
    this.#values = made
    this.bytes = this.#size(made)
    return made
  }

  stampOf(marker: Marker | null): { stamp: Stamp; json: string } {
    const incarnation = marker?.incarnation ?? ''
    const nextOffset = marker?.nextOffset ?? 0
    if (
      this.#stamp === null ||
      this.#stamp.incarnation !== incarnation ||
      Number(this.#stamp.nextOffset) !== nextOffset
    ) {
      const { plan, version } = this.#part.view
      this.#stamp = { view: plan.name, version, incarnation, partition: this.partition, nextOffset: String(nextOffset) }
      this.#stampJson = JSON.stringify(this.#stamp)
    }
    return { stamp: this.#stamp, json: this.#stampJson }
  }

  /** Makes the part's table hold the state. */
  #decode(state: StateParts): void {
    const { decoded, table, slot, view } = this.#part
    decoded.entry = null
    try {
      table.decode(slot, state)
    } catch (cause) {
      this.#state = null
      throw failInference(
        'TM_STATE_DAMAGED',
        `the stored state of an entity of view ${view.plan.name} (version ${view.version.slice(0, 12)}) cannot be decoded: rebuild the online store from the archive`,
        { details: { view: view.plan.name, version: view.version, bucket: this.bucket }, cause },
      )
    }
    decoded.entry = this
  }

  #size({ valuesJson, statusesJson, values }: ViewValues): number {
    const key = this.read.keys.length === 0 ? 0 : this.read.keys[0].key.length
    let bytes = ENTRY_BYTES + 2 * key + (this.#state?.open.length ?? 0) + (this.#state?.sealed?.length ?? 0)
    for (let run = 0; run < values.length; run++)
      bytes += valuesJson[run].length + statusesJson[run].length + VALUE_BYTES * values[run].length
    return bytes
  }
}

/** Text that tells the keys of one view apart. */
export function keyText(part: ViewPart, keys: readonly Value[]): string {
  let text = part.cachePrefix
  for (const at of part.keyAt) {
    const value = keys[at]
    if (value === null) text += '-'
    else {
      // Keys are scalars or bytes: no two values of one type have the same text.
      const piece = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : `${value as number}`
      text += `${piece.length}:${piece}`
    }
  }
  return text
}

/** Null where a component is null. */
export function keyBytes(part: ViewPart, keys: readonly Value[]): Uint8Array | null {
  const values = part.keyAt.map((at) => keys[at])
  return values.includes(null) ? null : entityKeyBytes(values)
}

/** The store's parts are views that its next read reuses. */
function copyState({ open, sealed }: StateParts): StateParts {
  return { open: new Uint8Array(open), sealed: sealed === null ? null : new Uint8Array(sealed) }
}

function sameState(a: StateParts | null, b: StateParts | null): boolean {
  if (a === null || b === null) return a === b
  return sameBytes(a.open, b.open) && sameBytes(a.sealed, b.sealed)
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  if (a === null || b === null) return a === b
  return a.length === b.length && Buffer.compare(a, b) === 0
}
