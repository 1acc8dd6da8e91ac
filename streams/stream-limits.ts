/** What bounds the messages and the backlogs of a deployment's logs. */
export interface StreamLimits {
  /** A message that ingest, import, replay and fill append has no more bytes than this. */
  readonly messageBytesMax: number
  /** Of blocks in one partition of a keyed log that are not applied, or not archived, yet: beyond that ingest waits. About: a fetch that has begun is finished. */
  readonly backlogBytesMax: number
}

/** A message fits into Kafka's default of 1 MiB with what a record and its batch add. */
export const STREAM_LIMITS: StreamLimits = { messageBytesMax: 1_000_000, backlogBytesMax: 64e6 }
