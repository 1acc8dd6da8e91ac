import type { FieldType } from '../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'
import type { Column } from '../features/values/column.ts'
import { chunkPlace } from '../stores/tables/parquet/flat-columns.ts'
import type { ChunkPlace, FlatColumn } from '../stores/tables/parquet/flat-columns.ts'
import { readIntegerChunk, readNumberChunk, readTextChunk } from '../stores/tables/parquet/read-column-chunk.ts'
import type { ReadTexts } from '../stores/tables/parquet/read-column-chunk.ts'
import type { ParquetFile } from '../stores/tables/parquet/splice.ts'

/** A field's chunk in a row group. Plain data, for any thread. */
export interface FieldChunk {
  readonly type: FieldType
  readonly place: ChunkPlace
}

/** Null where the column is absent, holds lists or bytes, or is packed in a way that is not read here: DuckDB reads it. */
export function fieldChunk(
  file: ParquetFile,
  rowGroup: number,
  column: FlatColumn | undefined,
  type: FieldType,
): FieldChunk | null {
  if (column === undefined || !holds(column, type)) return null
  const place = chunkPlace(file, rowGroup, column)
  return place === null ? null : { type, place }
}

/** Whether a column holds values of the type as Tidemark writes them, so that nothing needs a conversion. */
function holds({ meaning }: FlatColumn, type: FieldType): boolean {
  switch (COLUMN_STORAGE[type.kind]) {
    case 'number':
      return meaning === (type.kind === 'float64' || type.kind === 'float32' ? 'number' : 'integer')
    case 'int64':
      return meaning === 'integer'
    case 'bool':
      return meaning === 'bool'
    case 'string':
      return meaning === 'text'
    default:
      return false
  }
}

/** Values as a column, in `room` where it is given and of their kind; texts as they lie in their pages. */
export function readFieldChunk(
  file: number,
  { type, place }: FieldChunk,
  room?: ArrayBufferView,
): Exclude<Column, { storage: 'string' }> | ReadTexts {
  switch (COLUMN_STORAGE[type.kind]) {
    case 'string':
      return readTextChunk(file, place)
    case 'int64': {
      const { values, nulls } = readIntegerChunk(file, place, room instanceof BigInt64Array ? room : undefined)
      return { storage: 'int64', type, values, nulls }
    }
    case 'bool': {
      const { values, nulls } = readNumberChunk(file, place)
      return { storage: 'bool', type, values: Uint8Array.from(values), nulls }
    }
    default: {
      const { values, nulls } = readNumberChunk(file, place, room instanceof Float64Array ? room : undefined)
      return { storage: 'number', type, values, nulls }
    }
  }
}

/** The rows `rows` of texts as a column: only texts that they have become strings, each once. */
export function textColumn(
  { bytes, starts, ends, codes, nulls }: ReadTexts,
  type: FieldType,
  rows: Int32Array,
): Column {
  const numberOf = new Int32Array(starts.length).fill(-1)
  const known = new Map<string, number>()
  const dictionary: string[] = []
  const taken = new Int32Array(rows.length)
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]
    if (nulls !== null && nulls[row] === 1) continue
    const entry = codes[row]
    if (numberOf[entry] < 0) {
      const text = buffer.toString('utf8', starts[entry], ends[entry])
      let number = known.get(text)
      if (number === undefined) known.set(text, (number = dictionary.push(text) - 1))
      numberOf[entry] = number
    }
    taken[i] = numberOf[entry]
  }
  const absent = nulls === null ? null : Uint8Array.from(rows, (row) => nulls[row])
  return { storage: 'string', type, codes: taken, dictionary, nulls: absent }
}
