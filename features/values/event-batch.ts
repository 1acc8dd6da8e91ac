import type { Column } from './column.ts'

/** Decoded events of one source, column-wise, in position order unless a caller says otherwise. */
export interface EventBatch {
  readonly length: number
  /** One column per field of the source's schema, in schema order. */
  readonly columns: readonly Column[]
  /** Epoch ms. */
  readonly eventTime: Float64Array
  /** Epoch ms: when the fact could be known. */
  readonly arrival: Float64Array
  /** min(eventTime, arrival): the time at which an event counts in windows. */
  readonly tau: Float64Array
  /** Position within the keyed partition: the record's offset and the event's index within the block. */
  readonly offset: Float64Array
  readonly index: Int32Array
}
