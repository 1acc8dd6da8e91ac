import { resultValue, STATUS_NAMES } from '../features/aggregation/result-column.ts'
import type { StatusName } from '../features/aggregation/result-column.ts'
import type { StateParts } from '../features/kernel/state-parts.ts'
import { steadySpan } from '../features/kernel/steady-span.ts'
import type { SteadySpan } from '../features/kernel/steady-span.ts'
import type { Value } from '../features/plan/field-type.ts'
import { bucketOf, entityKeyBytes, partitionOf } from '../features/values/entity-key.ts'
import { murmur2 } from '../features/values/murmur2.ts'
import { valueToJson } from '../features/values/json-values.ts'
import { ENTITY_KEY_BYTES_MAX } from '../stores/online/online-store.ts'
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
  /** Whether all of `valuesJson` is ASCII. */
  readonly isAscii: boolean
  readonly span: SteadySpan
}

const ENTRY_BYTES = 500
const VALUE_BYTES = 40

/** What the store held for an entity when it was read, and the values that gave. */
interface Held {
  /** Null before the first read, and where nothing was ever flushed for the bucket. */
  readonly marker: Marker | null
  readonly state: StateParts | null
  readonly newestTau: number
  /** Shared by all that hold the same state bytes. */
  readonly memo: { values: ViewValues | null }
  readonly read: EntityRead
  readonly stamp: Stamp
  readonly stampJson: string
}

export type { Held as HeldState }

/**
 * One entity of one view. Its values are used again while the store holds the same state (by its marker's revision, else by its bytes) and the evaluation
 * time lies in their span, which gives the same bits by definition of the span.
 */
export class ViewEntry {
  readonly partition: number
  readonly bucket: number
  /** Kafka's murmur2 of the key; 0 for a null key. */
  readonly keyHash: number
  readonly #part: ViewPart
  readonly #keys: EntityRead['keys']
  /** As last read. A reader keeps what it held when it asked: another request may have changed it by the time the answer is there. */
  held: Held
  bytes = ENTRY_BYTES

  /** `key` null: a null key, which has no state. */
  constructor(part: ViewPart, key: Uint8Array | null, buckets: number, partitions: number) {
    this.#part = part
    this.keyHash = key === null ? 0 : murmur2(key)
    this.bucket = key === null ? 0 : bucketOf(key, buckets)
    this.partition = partitionOf(this.bucket, partitions)
    // What is too long to be stored was left out, and reads MISSING as a null does.
    this.#keys = key === null || key.length > ENTITY_KEY_BYTES_MAX ? [] : [{ view: part.view.version, key }]
    this.held = this.#hold(null, null, -Infinity, { values: null })
    this.bytes += 2 * (key?.length ?? 0)
  }

  /** What the store held, given what it answered to the read of `before`. TM_STATE_DAMAGED. */
  take(before: Held, { marker, states, unchanged }: EntityReadResult): Held {
    if (unchanged === true) return before
    const state = states.length === 0 ? null : states[0]
    if (sameState(before.state, state)) {
      this.held = this.#hold(marker, before.state, before.newestTau, before.memo)
      return this.held
    }
    const kept = state === null ? null : copyState(state)
    const { table, slot } = this.#part
    if (kept !== null) this.#decode(kept)
    this.held = this.#hold(marker, kept, kept === null ? -Infinity : table.newestTau(slot), { values: null })
    return this.held
  }

  /** Values at t > newest τ of what was held. `onEvaluate` is called where they were not there already. */
  valuesAt({ state, newestTau, memo }: Held, t: number, onEvaluate: () => void): ViewValues {
    const known = memo.values
    if (known !== null && t >= known.span.from && t < known.span.until) return known
    onEvaluate()
    const { table, slot, out, runs, kernel, decoded } = this.#part
    if (state !== null && decoded.state !== state) this.#decode(state)
    table.evaluate(state === null ? -1 : slot, t, out, 0)
    const values = runs.map((run) => run.map((feature) => resultValue(out[feature], 0)))
    const statuses = runs.map((run) => run.map((feature) => STATUS_NAMES[out[feature].statuses[0]]))
    const valuesJson = values.map((run) => run.map(valueToJson).join(','))
    const made: ViewValues = {
      values,
      statuses,
      valuesJson,
      isAscii: valuesJson.every(isAscii),
      statusesJson: statuses.map((run) => run.map((status) => `"${status}"`).join(',')),
      span: steadySpan(kernel, newestTau, t),
    }
    memo.values = made
    this.bytes = this.#size(state, made)
    return made
  }

  #hold(marker: Marker | null, state: StateParts | null, newestTau: number, memo: Held['memo']): Held {
    const { plan, version } = this.#part.view
    const stamp = {
      view: plan.name,
      version,
      incarnation: marker?.incarnation ?? '',
      partition: this.partition,
      nextOffset: String(marker?.nextOffset ?? 0),
    }
    const read = { keyedLog: this.#part.keyedLog, bucket: this.bucket, keys: this.#keys, known: marker }
    return { marker, state, newestTau, memo, read, stamp, stampJson: JSON.stringify(stamp) }
  }

  /** Makes the part's table hold the state. */
  #decode(state: StateParts): void {
    const { decoded, table, slot, view } = this.#part
    decoded.state = null
    try {
      table.decode(slot, state)
    } catch (cause) {
      throw failInference(
        'TM_STATE_DAMAGED',
        `the stored state of an entity of view ${view.plan.name} (version ${view.version.slice(0, 12)}) cannot be decoded: rebuild the online store from the archive`,
        { details: { view: view.plan.name, version: view.version, bucket: this.bucket }, cause },
      )
    }
    decoded.state = state
  }

  #size(state: StateParts | null, { valuesJson, statusesJson, values }: ViewValues): number {
    const key = this.#keys.length === 0 ? 0 : this.#keys[0].key.length
    let bytes = ENTRY_BYTES + 2 * key + (state?.open.length ?? 0) + (state?.sealed?.length ?? 0)
    for (let run = 0; run < values.length; run++)
      bytes += valuesJson[run].length + statusesJson[run].length + VALUE_BYTES * values[run].length
    return bytes
  }
}

export function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- ASCII has them
  return /^[\0-\x7f]*$/.test(text)
}

/** Text that tells the keys of one view apart. */
export function keyText(part: ViewPart, keys: readonly Value[]): string {
  return part.cachePrefix + valuesText(part.keyAt.map((at) => keys[at]))
}

/** Text that tells keys of the same types apart. */
export function valuesText(keys: readonly Value[]): string {
  let text = ''
  for (const value of keys) {
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
