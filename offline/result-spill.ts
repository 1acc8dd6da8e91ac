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
    const sections: SpillSection[] = []
    for (const { rowGroup, items } of byRowGroup(rows, firstRows)) {
      const start = this.#end
      this.#write(bytesOf(Int32Array.from(items, (item) => rows[item])))
      for (const column of columns) this.#writeColumn(column, items)
      sections.push({ path: this.#path, start, bytes: this.#end - start, rowGroup, rows: items.length })
    }
    return sections
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }

  #writeColumn({ storage, numbers, bigints, objects, nulls, statuses }: ResultColumn, items: Int32Array): void {
    if (storage === 'numbers') this.#write(bytesOf(Float64Array.from(items, (item) => numbers[item])))
    else if (storage === 'bigints') {
      const values = new BigInt64Array(items.length)
      for (let i = 0; i < items.length; i++) values[i] = bigints[items[i]]
      this.#write(bytesOf(values))
    } else {
      const packed = serialize(Array.from(items, (item) => objects[item]))
      this.#write(bytesOf(Uint32Array.of(packed.length)))
      this.#write(packed)
    }
    this.#write(Uint8Array.from(items, (item) => nulls[item]))
    this.#write(Uint8Array.from(items, (item) => statuses[item]))
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#file!, bytes, at, bytes.length - at, this.#end + at)
    this.#end += bytes.length
  }
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

/** Item numbers by row group, those without items left out: a counting sort. */
function byRowGroup(rows: Int32Array, firstRows: Int32Array): { rowGroup: number; items: Int32Array }[] {
  const groupOf = new Int32Array(rows.length)
  const counts = new Int32Array(firstRows.length - 1)
  for (let i = 0; i < rows.length; i++) counts[(groupOf[i] = groupAt(firstRows, rows[i]))]++
  const found = Array.from(counts, (count) => new Int32Array(count))
  counts.fill(0)
  for (let i = 0; i < rows.length; i++) found[groupOf[i]][counts[groupOf[i]]++] = i
  return found.flatMap((items, rowGroup) => (items.length === 0 ? [] : [{ rowGroup, items }]))
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
