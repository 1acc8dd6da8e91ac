import { bucketOf } from '../features/values/entity-key.ts'

/** Keys as any thread can look them up: an open hash table over shared memory. */
export interface SharedKeys {
  /** Key number by slot, −1 where free; a power of two of them. */
  readonly slots: Int32Array
  readonly hashes: Int32Array
  /** Key k is bytes `starts[k]`…`starts[k + 1]` − 1. */
  readonly starts: Int32Array
  readonly bytes: Uint8Array
}

/** Distinct byte strings, numbered from 0 in the order in which they were added. Entity keys here are `entityKeyBytes`. */
export class KeyTable {
  size = 0
  #keys: SharedKeys = emptyKeys(64, 1024)

  /** Valid until the next `add`. */
  get keys(): SharedKeys {
    return this.#keys
  }

  /** The number of a key, made if need be. */
  add(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to)
    const { slots } = this.#keys
    const mask = slots.length - 1
    let slot = hash & mask
    for (; slots[slot] >= 0; slot = (slot + 1) & mask)
      if (isKey(this.#keys, slots[slot], hash, bytes, from, to)) return slots[slot]
    if (2 * (this.size + 1) > slots.length || this.#keys.starts[this.size] + to - from > this.#keys.bytes.length) {
      this.#grow(to - from)
      return this.add(bytes, from, to)
    }
    const keys = this.#keys
    const start = keys.starts[this.size]
    for (let i = from; i < to; i++) keys.bytes[start + i - from] = bytes[i]
    slots[slot] = this.size
    keys.hashes[this.size] = hash
    keys.starts[this.size + 1] = start + to - from
    return this.size++
  }

  key(number: number): Uint8Array {
    const { bytes, starts } = this.#keys
    return bytes.subarray(starts[number], starts[number + 1])
  }

  bucketOf(number: number, buckets: number): number {
    return bucketOf(this.key(number), buckets)
  }

  #grow(bytes: number): void {
    const old = this.#keys
    const held = old.starts[this.size]
    const slots = 2 * (this.size + 1) > old.slots.length ? 2 * old.slots.length : old.slots.length
    const grown = emptyKeys(slots, Math.max(old.bytes.length, held + bytes > old.bytes.length ? 2 * (held + bytes) : 0))
    grown.bytes.set(old.bytes.subarray(0, held))
    grown.starts.set(old.starts.subarray(0, this.size + 1))
    grown.hashes.set(old.hashes.subarray(0, this.size))
    for (let key = 0; key < this.size; key++) {
      let slot = grown.hashes[key] & (slots - 1)
      while (grown.slots[slot] >= 0) slot = (slot + 1) & (slots - 1)
      grown.slots[slot] = key
    }
    this.#keys = grown
  }
}

/** The number of a key, −1 where it is none of them. */
export function findKey(keys: SharedKeys, bytes: Uint8Array, from: number, to: number): number {
  const hash = hashOf(bytes, from, to)
  const { slots } = keys
  const mask = slots.length - 1
  for (let slot = hash & mask; slots[slot] >= 0; slot = (slot + 1) & mask)
    if (isKey(keys, slots[slot], hash, bytes, from, to)) return slots[slot]
  return -1
}

function emptyKeys(slots: number, bytes: number): SharedKeys {
  return {
    slots: new Int32Array(new SharedArrayBuffer(4 * slots)).fill(-1),
    hashes: new Int32Array(new SharedArrayBuffer(2 * slots)),
    starts: new Int32Array(new SharedArrayBuffer(2 * slots + 4)),
    bytes: new Uint8Array(new SharedArrayBuffer(bytes)),
  }
}

function isKey(keys: SharedKeys, key: number, hash: number, bytes: Uint8Array, from: number, to: number): boolean {
  if (keys.hashes[key] !== hash) return false
  const start = keys.starts[key]
  if (keys.starts[key + 1] - start !== to - from) return false
  for (let i = from; i < to; i++) if (keys.bytes[start + i - from] !== bytes[i]) return false
  return true
}

function hashOf(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193)
  hash ^= hash >>> 15
  hash = Math.imul(hash, 0x85ebca6b)
  return hash ^ (hash >>> 13)
}
