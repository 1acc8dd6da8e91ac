import type { FieldType } from '../plan/field-type.ts'
import type { ByteReader } from '../values/byte-reader.ts'
import type { ByteWriter } from '../values/byte-writer.ts'
import type { Cells, SlotInput } from './cells.ts'
import { compareKeys, keyReader, readKey, writeKey } from './value-keys.ts'
import type { ValueKey } from './value-keys.ts'

interface Buckets {
  /** Inner cell by key. */
  readonly cells: Map<ValueKey, number>
  overflow: boolean
}

/*
 * `bucketBy`: an inner state per value of a column. Of more than `limit` keys the smallest in canonical order are kept; such a key is among the
 * smallest of every subset too, so its inner state has seen all its events.
 *
 *   u8 overflow, varint number of keys, per key in canonical order: value, inner bytes
 */
export class BucketedCells implements Cells {
  readonly type: FieldType
  readonly limit: number
  readonly inner: Cells
  readonly #buckets: Buckets[] = []
  readonly #free: number[] = []
  #used = 0
  #capacity = 0
  #innerOf = new Int32Array(0)

  constructor(type: FieldType, limit: number, inner: Cells) {
    this.type = type
    this.limit = limit
    this.inner = inner
  }

  grow(count: number): void {
    while (this.#buckets.length < count) this.#buckets.push({ cells: new Map(), overflow: false })
  }

  clear(from: number, to: number): void {
    for (let cell = from; cell < to; cell++) {
      const buckets = this.#buckets[cell]
      for (const inner of buckets.cells.values()) this.#give(inner)
      buckets.cells.clear()
      buckets.overflow = false
    }
  }

  isEmpty(cell: number): boolean {
    return this.#buckets[cell].cells.size === 0
  }

  /** Inner cells by key, in canonical key order. */
  entries(cell: number): [ValueKey, number][] {
    this.#settle(this.#buckets[cell])
    return [...this.#buckets[cell].cells].sort(([a], [b]) => compareKeys(a, b))
  }

  update(cellOf: Int32Array, input: SlotInput, from: number, to: number): void {
    if (input.bucket === null) throw new TypeError('bucketBy needs its column')
    const key = keyReader(input.bucket)
    if (this.#innerOf.length < to) this.#innerOf = new Int32Array(Math.max(to, 2 * this.#innerOf.length))
    const innerOf = this.#innerOf
    const crowded = new Set<Buckets>()
    for (let row = from; row < to; row++) {
      innerOf[row] = -1
      if (cellOf[row] < 0) continue
      const buckets = this.#buckets[cellOf[row]]
      innerOf[row] = this.#innerCell(buckets, key(row))
      if (buckets.cells.size > this.limit) crowded.add(buckets)
    }
    this.inner.update(innerOf, input, from, to)
    for (const buckets of crowded) this.#settle(buckets)
  }

  mergeRun(into: number, source: this, from: number, to: number): void {
    const target = this.#buckets[into]
    for (let cell = from; cell < to; cell++) {
      const buckets = source.#buckets[cell]
      if (buckets.overflow) target.overflow = true
      for (const [key, inner] of buckets.cells)
        this.inner.mergeRun(this.#innerCell(target, key), source.inner, inner, inner + 1)
    }
    this.#settle(target)
  }

  encode(cell: number, writer: ByteWriter): void {
    const entries = this.entries(cell)
    writer.u8(this.#buckets[cell].overflow ? 1 : 0)
    writer.varint(entries.length)
    for (const [key, inner] of entries) {
      writeKey(this.type, key, writer)
      this.inner.encode(inner, writer)
    }
  }

  decode(cell: number, reader: ByteReader): void {
    this.clear(cell, cell + 1)
    const buckets = this.#buckets[cell]
    buckets.overflow = reader.u8() === 1
    for (let left = reader.varint(); left > 0; left--) {
      this.inner.decode(this.#innerCell(buckets, readKey(this.type, reader)), reader)
    }
  }

  #innerCell(buckets: Buckets, key: ValueKey): number {
    const known = buckets.cells.get(key)
    if (known !== undefined) return known
    const inner = this.#take()
    buckets.cells.set(key, inner)
    return inner
  }

  #settle(buckets: Buckets): void {
    if (buckets.cells.size <= this.limit) return
    buckets.overflow = true
    const keys = [...buckets.cells.keys()].sort(compareKeys)
    for (const key of keys.slice(this.limit)) {
      this.#give(buckets.cells.get(key) ?? 0)
      buckets.cells.delete(key)
    }
  }

  #take(): number {
    const reused = this.#free.pop()
    if (reused !== undefined) return reused
    if (this.#used === this.#capacity) {
      this.#capacity = Math.max(64, 2 * this.#capacity)
      this.inner.grow(this.#capacity)
    }
    return this.#used++
  }

  #give(inner: number): void {
    this.inner.clear(inner, inner + 1)
    this.#free.push(inner)
  }
}
