/**
 * The log port: topics of numbered partitions holding records in append order. Adapters: embedded (LMDB), Kafka.
 * Offsets are non-negative safe integers, dense per partition in the embedded log (gaps are allowed by the port).
 * Every method may be called from several processes at once; appends to one partition are serialised by the store.
 * Names of topics are Tidemark's own; what others own is named by `foreignTopic`.
 */
export interface TopicOptions {
  readonly partitions: number
}

export interface TopicInfo {
  readonly name: string
  /** Identity of this creation of the topic; a topic deleted and made again has another. 1–64 characters [0-9A-Za-z_-]. */
  readonly incarnation: string
  readonly partitions: number
}

export interface LogRecord {
  readonly offset: number
  /**
   * The log's own append time, epoch ms: never before a time that was settled earlier (see `settledTime`). Of a foreign topic what that says, which may be its producer's word;
   * NaN: nothing.
   */
  readonly appendTime: number
  /** Owned by the caller once returned; never a view into memory that a later read reuses. */
  readonly value: Uint8Array
  /** What the header `__value_schema_id` says, by which serializers of a schema registry name the value's schema; where a record has it (Kafka). */
  readonly schemaId?: Uint8Array
}

export interface AppendResult {
  readonly baseOffset: number
  /** No record stands from here up to `baseOffset`, as far as the appender knows without asking: that at least. */
  readonly emptyFrom: number
  readonly appendTime: number
}

export interface TopicAppend {
  readonly topic: string
  readonly partition: number
  readonly values: readonly Uint8Array[]
  /** Where given, the whole call appends nothing and fails with TM_LOG_CONFLICT unless this is the partition's end offset. */
  readonly ifEnd?: number
}

/** A partition of one creation of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
  readonly incarnation: string
}

export interface Reading {
  readonly records: LogRecord[]
  /** Where to read on: behind the last record, and behind what follows it and is none. */
  readonly nextOffset: number
}

/** A small durable value that goes with an append. */
export interface LogCheckpoint {
  readonly name: string
  readonly value: Uint8Array
}

export interface LogCheckpoints {
  /** The value last set, or null. */
  read(name: string): Promise<Uint8Array | null>
}

/** Tells when a log was appended to, by any process. */
export interface LogWatch {
  /** What is appended from now on ends the next wait: to be called before the log is read. */
  mark(): Promise<void>
  /** Resolves once something was appended since the mark, after `timeoutMs`, or if aborted: whether it was, or may have been. One wait at a time. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean>
  close(): void
}

export interface Log {
  /** Checkpoints that `appendAll` sets in the transaction of its records; null where the store cannot (Kafka): they are then kept elsewhere, and set after the append. */
  readonly checkpoints: LogCheckpoints | null
  /** Whether `rewrite` can be done at all. */
  readonly isRewritable: boolean
  /** The name, for this port, of a topic that belongs to others: its settings are as they made it. null: this log has topics of Tidemark's alone. */
  foreignTopic(topic: string): string | null
  /** Creates the topic, or returns the existing one. TM_LOG_TOPIC_MISMATCH if it exists with other options; a foreign one is taken as it is. */
  createTopic(name: string, options: TopicOptions): Promise<TopicInfo>
  /** The topic, or null. */
  topic(name: string): Promise<TopicInfo | null>
  listTopics(): Promise<TopicInfo[]>
  deleteTopic(name: string): Promise<void>
  /** Durable when it resolves. Records of one call are contiguous. */
  append(topic: string, partition: number, values: readonly Uint8Array[]): Promise<AppendResult>
  /**
   * Several appends; the embedded log makes them one atomic transaction, other adapters may not. Results in order. A checkpoint (only where there are `checkpoints`)
   * is set with them: after a crash all of it is there, or nothing.
   */
  appendAll(appends: readonly TopicAppend[], checkpoint?: LogCheckpoint): Promise<AppendResult[]>
  /**
   * Replaces the values of records, or removes records (null), in one change; their offsets and append times, and all other records, stay. Records that are not there
   * are left out. Readers at work see the old record or the new one. TM_LOG_REWRITE where the log is not rewritable.
   */
  rewrite(
    topic: string,
    partition: number,
    changes: readonly { readonly offset: number; readonly value: Uint8Array | null }[],
  ): Promise<void>
  /** Drops records at offsets below `before`, oldest first, some thousands in one call. Returns how many. */
  trim(topic: string, partition: number, before: number): Promise<number>
  /** Records from `fromOffset` on, at least one if there is one, about `maxBytes` at most. Empty at the end. */
  read(topic: string, partition: number, fromOffset: number, maxBytes: number): Promise<LogRecord[]>
  /** The same of one creation of a topic, and where to read on. TM_LOG_TOPIC_UNKNOWN: there is another now. */
  readOn(place: TopicPartition, fromOffset: number, maxBytes: number): Promise<Reading>
  /** The offset behind the last record; the next one gets this, or a later one. */
  endOffset(topic: string, partition: number): Promise<number>
  /** The ends of these partitions at one moment: of every `appendAll`, either all or nothing lies below. */
  endOffsets(places: readonly Omit<TopicPartition, 'incarnation'>[]): Promise<number[]>
  /** The first offset still held. */
  startOffset(topic: string, partition: number): Promise<number>
  /** Watches all topics. */
  watch(): LogWatch
  /** The clock that stamps appends, epoch ms (simulated where the deployment's clock is). */
  now(): number
  /**
   * A time, as late as possible, with everything before it settled in a topic of Tidemark's own: every append stamped earlier is readable when this resolves, and no later append,
   * by any process and whatever its clock says, is stamped earlier. What has been read to the end after this call is complete up to it. Where that costs an append it may be
   * some seconds old, unless `fresh`.
   */
  settledTime(topic: string, options?: { readonly fresh?: boolean }): Promise<number>
  close(): Promise<void>
}
