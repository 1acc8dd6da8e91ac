import { ByteWriter } from '../values/byte-writer.ts'
import type { Column } from '../values/column.ts'
import type { FieldType } from '../plan/field-type.ts'
import { keyReader, writeKey } from './value-keys.ts'
import type { ValueKey } from './value-keys.ts'

const SEED_HIGH = 0
const SEED_LOW = 0x9747b28c

/** Receives the two halves of a hash, unsigned. */
export type HashSink<S> = (state: S, high: number, low: number) => void

/**
 * 64-bit hash of a value's canonical bytes (value-codec.ts): MurmurHash3 x86 32 with seed 0 (high half) and 0x9747b28c (low half). Stored states
 * depend on it: never change it. Strings are hashed once per dictionary entry.
 */
export function hashAdder<S>(type: FieldType, column: Column, sink: HashSink<S>): (state: S, row: number) => void {
  const writer = new ByteWriter()
  const hash = (state: S, key: ValueKey): void => {
    writer.reset()
    writeKey(type, key, writer)
    sink(state, murmur3(writer.bytes, writer.length, SEED_HIGH), murmur3(writer.bytes, writer.length, SEED_LOW))
  }
  if (column.storage !== 'string') {
    const key = keyReader(column)
    return (state, row) => hash(state, key(row))
  }
  const { codes, dictionary } = column
  const known = new Map<number, readonly [number, number]>()
  return (state, row) => {
    const code = codes[row]
    let halves = known.get(code)
    if (halves === undefined) {
      writer.reset()
      writeKey(type, dictionary[code], writer)
      halves = [murmur3(writer.bytes, writer.length, SEED_HIGH), murmur3(writer.bytes, writer.length, SEED_LOW)]
      known.set(code, halves)
    }
    sink(state, halves[0], halves[1])
  }
}

/** MurmurHash3_x86_32 of the first `length` bytes, unsigned. */
export function murmur3(bytes: Uint8Array, length: number, seed: number): number {
  let h = seed
  const words = length & ~3
  for (let at = 0; at < words; at += 4) {
    const k = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
    h ^= mixWord(k)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = length - 1; at >= words; at--) tail = (tail << 8) | bytes[at]
  if (length > words) h ^= mixWord(tail)
  h ^= length
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function mixWord(word: number): number {
  const k = Math.imul(word, 0xcc9e2d51)
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593)
}
