import type { EntityPlan } from '../features/plan/source-plan.ts'
import type { Column } from '../features/values/column.ts'
import { entityKeysOfBatch } from '../features/values/entity-key.ts'
import type { ReadTexts } from '../stores/tables/parquet/read-column-chunk.ts'
import type { KeyTable } from './key-table.ts'
import { readFieldChunk, textColumn } from './read-field-chunk.ts'
import type { FieldChunk } from './read-field-chunk.ts'

/** Entity keys of some rows: row i has the key bytes `starts[codes[i]]`…`ends[codes[i]]` − 1; −1 where a component is null. A key may occur twice. */
export interface PackedKeys {
  readonly bytes: Uint8Array
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly codes: Int32Array
}

/** Reads a row group's keys. The key of one text column is its bytes as they lie in the file. */
export function readKeys(file: number, entity: EntityPlan, chunks: readonly FieldChunk[]): PackedKeys {
  const columns = chunks.map((chunk) => readFieldChunk(file, chunk))
  if (columns.length === 1 && columns[0].storage === 'texts') return packedTexts(columns[0])
  const { rows } = chunks[0].place
  const all = Int32Array.from({ length: rows }, (_, row) => row)
  const plain = columns.map((column, c): Column =>
    column.storage === 'texts' ? textColumn(column, chunks[c].type, all) : column,
  )
  return packKeys(entity, plain, rows)
}

export function packKeys(entity: EntityPlan, columns: readonly Column[], rows: number): PackedKeys {
  const { distinct, keyOf } = entityKeysOfBatch(entity, columns, rows)
  const starts = new Int32Array(distinct.length)
  const ends = new Int32Array(distinct.length)
  const bytes = Buffer.concat(distinct)
  let at = 0
  distinct.forEach((key, k) => {
    starts[k] = at
    ends[k] = at += key.length
  })
  return { bytes, starts, ends, codes: keyOf }
}

function packedTexts({ bytes, starts, ends, codes, nulls }: ReadTexts): PackedKeys {
  if (nulls !== null) for (let i = 0; i < codes.length; i++) if (nulls[i] === 1) codes[i] = -1
  return { bytes, starts, ends, codes }
}

/** By row the number that the table has for its key, made if need be; −1: null. */
export function addKeys({ bytes, starts, ends, codes }: PackedKeys, table: KeyTable): Int32Array {
  const numberOf = new Int32Array(starts.length).fill(-1)
  const numbers = new Int32Array(codes.length)
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]
    if (code >= 0 && numberOf[code] < 0) numberOf[code] = table.add(bytes, starts[code], ends[code])
    numbers[i] = code < 0 ? -1 : numberOf[code]
  }
  return numbers
}
