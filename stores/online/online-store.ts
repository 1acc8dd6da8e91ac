import type { StateChange, StateParts } from '../../features/kernel/state-parts.ts'

/** Every adapter takes entity keys up to this length; longer ones are dead letters at ingest. */
export const ENTITY_KEY_BYTES_MAX = 1024

/**
 * The online store port: packed entity states and markers per (keyed log, bucket), bytes in and out. Nothing here knows what a state means.
 *
 * A bucket has one marker for its live set: the view versions that are applied together. A view version outside the live set has a marker of its own:
 * it is being backfilled, or it left and is parked where it was. The states of a version stay where they are when it, or another, joins or leaves.
 * A flush of a bucket is atomic and fenced by one marker: it is refused when the epoch, the covered views or the expected offset differ.
 */
export interface Marker {
  /** Bumped at each claim, join and leave; a flush by an older epoch is refused. */
  readonly epoch: number
  readonly incarnation: string
  /** Of a live set: hash over its sorted view versions, '' for none. Of one version's own marker: that version. */
  readonly views: string
  /** Events at offsets below this are in the states. */
  readonly nextOffset: number
  /** Highest sequence applied, by origin: see `streams/` for its encoding. Opaque here. */
  readonly origins: Uint8Array
  /** The store's own time of the last flush, join or leave, whole epoch ms: never less than at the one before, nor than any settled time. */
  readonly flushTime: number
  /** Grows with every change under this marker: while incarnation, epoch and revision are the same, so is every state that it covers. */
  readonly revision: number
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
  /** null deletes both parts. */
  readonly state: StateChange | null
}

export interface BucketFlush extends BucketId {
  /** The view version whose own marker fences this flush. Absent: the live set's marker does. */
  readonly backfill?: string
  readonly epoch: number
  readonly views: string
  readonly expectedOffset: number
  readonly nextOffset: number
  readonly origins: Uint8Array
  /** Each state at most once. */
  readonly writes: readonly StateWrite[]
}

export type FlushOutcome = 'applied' | 'stale-epoch' | 'other-views' | 'other-offset'

/** One bucket's view version between its own marker and the live set. */
export interface ViewMove extends BucketId {
  readonly view: string
  /** The live set's marker as the caller saw it; null: there was none. */
  readonly live: { readonly epoch: number; readonly views: string } | null
  /** Epoch of the version's own marker (join only). */
  readonly epoch?: number
  /** `views` of the live set's marker afterwards. */
  readonly views: string
}

/** One bucket's own marker of a view version outside the live set. */
export interface BackfillClaim extends BucketId {
  readonly view: string
  readonly incarnation: string
  /** Epoch of the live set's marker as the caller saw it; null: there was none. */
  readonly live: number | null
}

export interface ParkedView extends BucketId {
  readonly view: string
  /** Epoch of its own marker. */
  readonly epoch: number
}

/** States as a replay of another history gives them. */
export interface BucketRewrite extends BucketId {
  /** Of the live marker as the caller saw it; null: there was none. */
  readonly expectedOffset: number | null
  /** Of versions of the live set, both parts. */
  readonly writes: readonly { readonly view: string; readonly key: Uint8Array; readonly state: StateParts | null }[]
  /** A key whose states go from every version. */
  readonly forget?: Uint8Array
}

export interface EntityRead extends BucketId {
  readonly keys: readonly StateKey[]
  /** The marker that an earlier read of these keys gave: while it is unchanged, the states are left out. */
  readonly known?: Marker | null
}

export interface EntityReadResult {
  /** null: nothing was ever flushed for this bucket. */
  readonly marker: Marker | null
  /** In the order of the request's keys; null where there is no open part. Valid until the next await: copy what is kept. */
  readonly states: readonly (StateParts | null)[]
  /** The states are those of the `known` marker; `states` is empty. */
  readonly unchanged?: boolean
}

/** Whether what two markers of one bucket cover is the same. */
export function isSameRevision(a: Marker, b: Marker): boolean {
  return a.revision === b.revision && a.epoch === b.epoch && a.incarnation === b.incarnation
}

export interface OnlineStore {
  /**
   * Takes ownership of live sets: bumps each marker's epoch (creating it with nextOffset 0 where there is none) and returns the markers. A marker of
   * another incarnation is TM_ONLINE_INCARNATION (halt).
   */
  claim(keyedLog: string, buckets: readonly number[], owner: { incarnation: string; views: string }): Promise<Marker[]>
  /**
   * The same for view versions outside the live set, one atomic change per bucket. Where a version has no marker of its own, its leftover states are
   * dropped and the marker made, at offset 0. null, and nothing changed, where the live marker is not as the caller saw it: the version may have joined since, and a
   * second marker over live states must never be.
   */
  claimBackfill(claims: readonly BackfillClaim[]): Promise<(Marker | null)[]>
  /** One atomic change per bucket; outcomes in order. Durable when it resolves. */
  flush(flushes: readonly BucketFlush[]): Promise<FlushOutcome[]>
  /** States (both parts) and their bucket's live marker from one consistent snapshot per bucket; all of a request in one round trip. */
  read(reads: readonly EntityRead[]): Promise<EntityReadResult[]>
  /** The same at once, where the store can answer without waiting. */
  readNow?(reads: readonly EntityRead[]): EntityReadResult[]
  /** Markers of the live sets, or of one view version's own. */
  markers(keyedLog: string, buckets: readonly number[], backfill?: string): Promise<(Marker | null)[]>
  /**
   * The live markers of one bucket or more, and a time, as late as possible, with everything before it settled: every change of theirs stamped (`flushTime`) earlier is in them, and no later
   * change, by any process and whatever its clock says, is stamped earlier.
   */
  settledMarkers(
    keyedLog: string,
    buckets: readonly number[],
  ): Promise<{ readonly time: number; readonly markers: readonly (Marker | null)[] }>
  /** Every entity state of a view in a bucket, in key order, from behind the key `after` on, for sweeps and audits. */
  scan(bucket: BucketId, view: string, after?: Uint8Array | null): AsyncIterable<{ key: Uint8Array; state: StateParts }>
  /**
   * Joins view versions that were backfilled beside the live set, one atomic change per bucket: if both markers are as the caller saw them and have one
   * nextOffset, the live marker gets `views`, an epoch above both, and the version's own marker goes. Into an empty live set ('' or no marker) a version
   * brings its own position. Outcomes in order: `stale-epoch` also where a marker is missing or appeared.
   */
  join(moves: readonly ViewMove[]): Promise<FlushOutcome[]>
  /** The reverse: the live marker gets `views` and a higher epoch, and the version a marker of its own at the same position. */
  leave(moves: readonly ViewMove[]): Promise<FlushOutcome[]>
  /** Drops versions outside the live set, one atomic change per bucket: own marker and all states, if the marker is as the caller saw it. */
  drop(parked: readonly ParkedView[]): Promise<FlushOutcome[]>
  /**
   * Replaces states, drops the versions outside the live set (marker and states: they begin anew) and bumps the live marker's epoch, so that what an owner still
   * holds is refused. One atomic change per bucket; `other-offset`, and nothing changed, where the live marker is not as expected.
   */
  rewrite(rewrites: readonly BucketRewrite[]): Promise<FlushOutcome[]>
  close(): Promise<void>
}
