import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import type { ResultColumn } from '../features/aggregation/result-column.ts'
import type { Value } from '../features/plan/field-type.ts'

/*
 * A section of a spill file: results of some rows of one row group, in the machine's own byte order, as this process alone reads it again:
 *
 *   row numbers (i32 each), then per column: f64 | i64 values, or u32 length and V8's serialisation of an array; nulls (u8 each); statuses (u8 each)
 */

/** Plain data, for any thread. */
export interface SpillSection {
  readonly path: string
  readonly start: number
  readonly bytes: number
  /** Number of the row group, and the rows in the section. */
  readonly rowGroup: number
  readonly rows: number
}

/** A file of results that did not fit in memory, written by one thread. */
export class ResultSpill {
  readonly #path: string
  #file: number | null = null
  #end = 0

  constructor(folder: string, thread: number) {
    this.#path = join(folder, `results-${thread}`)
    mkdirSync(folder, { recursive: true })
  }

  /** Result i is that of row `rows[i]`. `firstRows`: the first row of each row group, then the end. */
  write(rows: Int32Array, columns: readonly ResultColumn[], firstRows: Int32Array): SpillSection[] {
    this.#file ??= openSync(this.#path, 'w')
    const { order, ends } = byRowGroup(rows, firstRows)
    const written: SpillSection[] = []
    for (let rowGroup = 0, from = 0; rowGroup < ends.length; from = ends[rowGroup++]) {
      if (from === ends[rowGroup]) continue
      const items = order.subarray(from, ends[rowGroup])
      const start = this.#end
      for (const part of section(rows, columns, items)) this.#write(part)
      written.push({ path: this.#path, start, bytes: this.#end - start, rowGroup, rows: items.length })
    }
    return written
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file!, bytes, at, bytes.length - at, this.#end + at)
    this.#end += bytes.length
  }
}

/** A typed array. */
type Elements<V> = ArrayBufferView & { [index: number]: V }

/** The bytes of the results `items`, in one piece where all are numbers. */
function section(rows: Int32Array, columns: readonly ResultColumn[], items: Int32Array): Uint8Array[] {
  const count = items.length
  const parts: Uint8Array[] = []
  let block = new Uint8Array(4 * count + columns.length * 10 * count)
  let used = 0
  // Loops and not `from` with a function: that goes by the iterator protocol, element by element.
  const gather = <V>(from: ArrayLike<V>, values: Elements<V>): void => {
    for (let i = 0; i < count; i++) values[i] = from[items[i]]
    block.set(bytesOf(values), used)
    used += values.byteLength
  }
  const numbers = new Float64Array(count)
  const flags = new Uint8Array(count)
  gather(rows, new Int32Array(count))
  for (const column of columns) {
    if (column.storage === 'numbers') gather(column.numbers, numbers)
    else if (column.storage === 'bigints') gather(column.bigints, new BigInt64Array(count))
    else {
      const packed = serialize(Array.from(items, (item) => column.objects[item]))
      parts.push(block.subarray(0, used), bytesOf(Uint32Array.of(packed.length)), packed)
      block = block.subarray(used)
      used = 0
    }
    gather(column.nulls, flags)
    gather(column.statuses, flags)
  }
  parts.push(block.subarray(0, used))
  return parts
}

/** Reads a section into columns of its row group, which begins at `firstRow`. */
export function readSection(section: SpillSection, firstRow: number, columns: readonly ResultColumn[]): void {
  const bytes = readBytes(section)
  const { rows: count } = section
  const rows = new Int32Array(bytes.buffer, bytes.byteOffset, count)
  let at = 4 * count
  const take = (length: number): Uint8Array => bytes.subarray(at, (at += length))
  for (const { storage, numbers, bigints, objects, nulls, statuses } of columns) {
    if (storage === 'objects') {
      const [length] = new Uint32Array(take(4).slice().buffer)
      const values = deserialize(take(length)) as Value[]
      for (let i = 0; i < count; i++) objects[rows[i] - firstRow] = values[i]
    } else {
      // Sections begin where they happen to: a copy is aligned.
      const { buffer } = take(8 * count).slice()
      if (storage === 'numbers') {
        const values = new Float64Array(buffer)
        for (let i = 0; i < count; i++) numbers[rows[i] - firstRow] = values[i]
      } else {
        const values = new BigInt64Array(buffer)
        for (let i = 0; i < count; i++) bigints[rows[i] - firstRow] = values[i]
      }
    }
    const isNull = take(count)
    const status = take(count)
    for (let i = 0; i < count; i++) {
      nulls[rows[i] - firstRow] = isNull[i]
      statuses[rows[i] - firstRow] = status[i]
    }
  }
}

function readBytes({ path, start, bytes: length }: SpillSection): Uint8Array {
  const file = openSync(path, 'r')
  try {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const read = readSync(file, bytes, at, length - at, start + at)
      if (read === 0) throw new RangeError(`${path} ends early`)
      at += read
    }
    return bytes
  } finally {
    closeSync(file)
  }
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Item numbers in the order of their row groups, and where each group's end: a counting sort. */
function byRowGroup(rows: Int32Array, firstRows: Int32Array): { order: Int32Array; ends: Int32Array } {
  const groupOf = new Int32Array(rows.length)
  const ends = new Int32Array(firstRows.length - 1)
  for (let i = 0; i < rows.length; i++) ends[(groupOf[i] = groupAt(firstRows, rows[i]))]++
  for (let group = 0, end = 0; group < ends.length; group++) {
    end += ends[group]
    ends[group] = end - ends[group]
  }
  const order = new Int32Array(rows.length)
  for (let i = 0; i < rows.length; i++) order[ends[groupOf[i]]++] = i
  return { order, ends }
}

/** The row group that holds a row: the last one that begins at or before it. */
function groupAt(firstRows: Int32Array, row: number): number {
  let low = 0
  let high = firstRows.length - 1
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (firstRows[middle] <= row) low = middle
    else high = middle
  }
  return low
}
