import type { FieldType, Value } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { SlotInput } from './cells.ts'
import type { Fold } from './fold-cells.ts'
import { compareKeys, keyReader, keyToValue, readKey, writeKey } from './value-keys.ts'
import type { ValueKey } from './value-keys.ts'

/** Counts by key: at least the `limit` smallest keys seen; `overflow` once a key was dropped or more than `limit` are held. */
export interface KeyCounts {
  readonly counts: Map<ValueKey, number>
  overflow: boolean
}

/*
 * Distinct values and, if `counted`, how often each occurs. Of more than `limit` keys the smallest in canonical order are kept. A key among
 * the smallest of all events is among the smallest of every subset, so it is never dropped on the way and its count is exact in any order.
 *
 *   u8 overflow, varint number of keys, per key in canonical order: value, varint count (if counted)
 */
export class KeyCountFold implements Fold<KeyCounts> {
  readonly type: FieldType
  readonly limit: number
  readonly counted: boolean

  constructor(type: FieldType, limit: number, counted: boolean) {
    this.type = type
    this.limit = limit
    this.counted = counted
  }

  create(): KeyCounts {
    return { counts: new Map(), overflow: false }
  }

  isEmpty(state: KeyCounts): boolean {
    return state.counts.size === 0
  }

  adder(input: SlotInput): (state: KeyCounts, row: number) => void {
    if (input.column === null) throw new TypeError('distinct values need a column')
    const key = keyReader(input.column)
    return (state, row) => this.#add(state, key(row), 1)
  }

  merge(into: KeyCounts, from: KeyCounts): void {
    if (from.overflow) into.overflow = true
    for (const [key, count] of from.counts) this.#add(into, key, count)
  }

  /** Drops all but the smallest keys and returns them in order. */
  settle(state: KeyCounts): ValueKey[] {
    const keys = [...state.counts.keys()].sort(compareKeys)
    if (keys.length <= this.limit) return keys
    for (const key of keys.slice(this.limit)) state.counts.delete(key)
    state.overflow = true
    return keys.slice(0, this.limit)
  }

  /** Counts of the kept values, in canonical order. */
  countsByValue(state: KeyCounts): Map<Value, number> {
    return new Map(this.settle(state).map((key) => [keyToValue(this.type, key), state.counts.get(key) ?? 0]))
  }

  encode(state: KeyCounts, writer: ByteWriter): void {
    const keys = this.settle(state)
    writer.u8(state.overflow ? 1 : 0)
    writer.varint(keys.length)
    for (const key of keys) {
      writeKey(this.type, key, writer)
      if (this.counted) writer.varint(state.counts.get(key) ?? 0)
    }
  }

  decode(reader: ByteReader): KeyCounts {
    const state = this.create()
    state.overflow = reader.u8() === 1
    const size = reader.varint()
    for (let i = 0; i < size; i++) {
      const key = readKey(this.type, reader)
      state.counts.set(key, this.counted ? reader.varint() : 1)
    }
    return state
  }

  #add(state: KeyCounts, key: ValueKey, count: number): void {
    const { counts } = state
    counts.set(key, this.counted ? (counts.get(key) ?? 0) + count : 1)
    if (counts.size > 2 * this.limit + 16) this.settle(state)
  }
}
