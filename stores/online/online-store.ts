/**
 * The online store port: packed entity states and one marker per (keyed log, bucket), bytes in and out. Nothing here knows what a state means.
 * A flush of a bucket is atomic and fenced by the marker: it is refused when the epoch, the covered views or the expected offset differ.
 */
export interface Marker {
  /** Bumped at each claim; a flush by an older epoch is refused. */
  readonly epoch: number
  readonly incarnation: string
  /** Hash over the sorted view versions that the states of this bucket cover. */
  readonly views: string
  /** Events at offsets below this are in the states. */
  readonly nextOffset: number
  /** Highest sequence applied, by origin: see `streams/` for its encoding. Opaque here. */
  readonly origins: Uint8Array
  /** The store's own time of the last flush, epoch ms. */
  readonly flushTime: number
}

export interface BucketId {
  readonly keyedLog: string
  readonly bucket: number
}

export interface StateKey {
  /** SHA-256 hex of the view version. */
  readonly view: string
  /** Canonical entity key bytes (see `features/values/entity-key.ts`). */
  readonly key: Uint8Array
}

export interface StateWrite extends StateKey {
  /** null deletes. */
  readonly state: Uint8Array | null
}

export interface BucketFlush extends BucketId {
  readonly epoch: number
  readonly views: string
  readonly expectedOffset: number
  readonly nextOffset: number
  readonly origins: Uint8Array
  readonly writes: readonly StateWrite[]
}

export type FlushOutcome = 'applied' | 'stale-epoch' | 'other-views' | 'other-offset'

export interface EntityRead extends BucketId {
  readonly keys: readonly StateKey[]
}

export interface EntityReadResult {
  /** null: nothing was ever flushed for this bucket. */
  readonly marker: Marker | null
  /** In the order of the request's keys. Valid until the next await: copy what is kept. */
  readonly states: readonly (Uint8Array | null)[]
}

export interface OnlineStore {
  /**
   * Takes ownership of buckets: bumps each epoch (creating the marker with nextOffset 0 where there is none) and returns the markers.
   * A marker of another incarnation is TM_ONLINE_INCARNATION (halt).
   */
  claim(keyedLog: string, buckets: readonly number[], owner: { incarnation: string; views: string }): Promise<Marker[]>
  /** One atomic change per bucket; outcomes in order. Durable when it resolves. */
  flush(flushes: readonly BucketFlush[]): Promise<FlushOutcome[]>
  /** States and their bucket's marker from one consistent snapshot per bucket; all of a request in one round trip. */
  read(reads: readonly EntityRead[]): Promise<EntityReadResult[]>
  markers(keyedLog: string, buckets: readonly number[]): Promise<(Marker | null)[]>
  /** Every entity state of a view in a bucket, in key order, for hand-over and audits. */
  scan(bucket: BucketId, view: string): AsyncIterable<{ key: Uint8Array; state: Uint8Array }>
  /**
   * Joins view versions whose states were built beside the live ones: in one atomic change, if the marker still has `expected.epoch` and
   * `expected.nextOffset`, sets `views` and bumps the epoch.
   */
  changeViews(bucket: BucketId, expected: { epoch: number; nextOffset: number }, views: string): Promise<FlushOutcome>
  /** Drops all states of a view version (after no alias, deployment or rollback target reaches it). */
  dropView(keyedLog: string, view: string): Promise<void>
  close(): Promise<void>
}
