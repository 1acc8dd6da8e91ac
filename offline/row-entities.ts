import { partitionOf } from '../features/values/entity-key.ts'
import type { KeyTable } from './key-table.ts'

/** The entities of some rows, numbered by keyed partition, so that a partition's are a range. */
export interface RowEntities {
  readonly keys: KeyTable
  /** The entity of each key of the table. */
  readonly entityOfKey: Int32Array
  /** Entities and, last, one for null keys. */
  readonly entities: number
  /** By row. */
  readonly entityOf: Int32Array
  /** By keyed partition its first entity; then the end. */
  readonly partitionStart: Int32Array
}

export interface Partitioning {
  readonly buckets: number
  readonly partitions: number
}

/** `keyOf`: each row's key in the table, −1 for null; it becomes `entityOf`. */
export function numberEntities(keys: KeyTable, keyOf: Int32Array, { buckets, partitions }: Partitioning): RowEntities {
  const partitionOfKey = new Int32Array(keys.size)
  const partitionStart = new Int32Array(partitions + 1)
  for (let key = 0; key < keys.size; key++) {
    partitionOfKey[key] = partitionOf(keys.bucketOf(key, buckets), partitions)
    partitionStart[partitionOfKey[key] + 1]++
  }
  for (let partition = 0; partition < partitions; partition++)
    partitionStart[partition + 1] += partitionStart[partition]
  const next = partitionStart.slice()
  const entityOfKey = new Int32Array(new SharedArrayBuffer(4 * keys.size))
  for (let key = 0; key < keys.size; key++) entityOfKey[key] = next[partitionOfKey[key]]++
  for (let row = 0; row < keyOf.length; row++) keyOf[row] = keyOf[row] < 0 ? keys.size : entityOfKey[keyOf[row]]
  return { keys, entityOfKey, entities: keys.size + 1, entityOf: keyOf, partitionStart }
}
