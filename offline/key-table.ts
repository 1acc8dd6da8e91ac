import { bucketOf } from '../features/values/entity-key.ts'
import { failOffline } from './errors.ts'

/** Places in the bytes are 32-bit integers, and a table of this many keys still is an array. */
const BYTES_MAX = 2 ** 31 - 1
const KEYS_MAX = 2 ** 28

/** Keys as any thread can look them up: an open hash table over shared memory. */
export interface SharedKeys {
  /** Pairs of key number, −1 where free, and hash, side by side as one is never read without the other; a power of two of them. */
  readonly slots: Int32Array
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

  /** Bytes of memory that it takes. */
  get bytes(): number {
    const { slots, starts, bytes } = this.#keys
    return slots.byteLength + starts.byteLength + bytes.byteLength
  }

  /** The number of a key, made if need be. */
  add(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashOf(bytes, from, to)
    const { slots } = this.#keys
    const slot = slotOf(this.#keys, hash, bytes, from, to)
    if (slots[slot] >= 0) return slots[slot]
    if (4 * (this.size + 1) > slots.length || this.#keys.starts[this.size] + to - from > this.#keys.bytes.length) {
      this.#grow(to - from)
      return this.add(bytes, from, to)
    }
    const keys = this.#keys
    const start = keys.starts[this.size]
    for (let i = from; i < to; i++) keys.bytes[start + i - from] = bytes[i]
    slots[slot] = this.size
    slots[slot + 1] = hash
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
    if (held + bytes > BYTES_MAX || this.size >= KEYS_MAX)
      throw failOffline(
        'TM_SPINE_TOO_LARGE',
        `the spine has more than ${this.size} distinct keys, ${held} bytes of them, which is more than one export holds: split the spine by rows into several exports`,
        { details: { keys: this.size, bytes: held } },
      )
    const slots = old.slots.length >> 1
    const grown = emptyKeys(
      4 * (this.size + 1) > old.slots.length ? 2 * slots : slots,
      Math.max(old.bytes.length, held + bytes > old.bytes.length ? Math.min(BYTES_MAX, 2 * (held + bytes)) : 0),
    )
    grown.bytes.set(old.bytes.subarray(0, held))
    grown.starts.set(old.starts.subarray(0, this.size + 1))
    const last = grown.slots.length - 1
    for (let i = 0; i < old.slots.length; i += 2) {
      if (old.slots[i] < 0) continue
      let slot = (2 * old.slots[i + 1]) & last
      while (grown.slots[slot] >= 0) slot = (slot + 2) & last
      grown.slots[slot] = old.slots[i]
      grown.slots[slot + 1] = old.slots[i + 1]
    }
    this.#keys = grown
  }
}

/** The number of a key, −1 where it is none of them. */
export function findKey(keys: SharedKeys, bytes: Uint8Array, from: number, to: number): number {
  return keys.slots[slotOf(keys, hashOf(bytes, from, to), bytes, from, to)]
}

/** Where a key's pair lies, or would. */
function slotOf(keys: SharedKeys, hash: number, bytes: Uint8Array, from: number, to: number): number {
  const { slots } = keys
  const last = slots.length - 1
  let slot = (2 * hash) & last
  while (slots[slot] >= 0 && !(slots[slot + 1] === hash && isKey(keys, slots[slot], bytes, from, to)))
    slot = (slot + 2) & last
  return slot
}

function emptyKeys(slots: number, bytes: number): SharedKeys {
  return {
    slots: new Int32Array(new SharedArrayBuffer(8 * slots)).fill(-1),
    starts: new Int32Array(new SharedArrayBuffer(2 * slots + 4)),
    bytes: new Uint8Array(new SharedArrayBuffer(bytes)),
  }
}

function isKey(keys: SharedKeys, key: number, bytes: Uint8Array, from: number, to: number): boolean {
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
