import { ENTITY_KEY_BYTES_MAX } from '../online-store.ts'
import type { BucketId } from '../online-store.ts'
import { failStore } from '../../errors.ts'

/*
 * Keys of the Redis online store. All keys of a bucket begin with its hash tag `{tm:<bucket>}` and so lie in one slot: one script changes them atomically, one
 * MGET reads them from one snapshot.
 *
 *   {tm:B} t                                     → settled time of the bucket, decimal epoch ms: no change is stamped earlier
 *   {tm:B} m keyed log                           → live marker (see `marker.ts`)
 *   {tm:B} b keyed log 0x00 32-byte view version → that version's own marker, while it is outside the live set
 *   {tm:B} o keyed log 0x00 version entity key   → open part of an entity's state
 *   {tm:B} s keyed log 0x00 version entity key   → sealed part, where it is apart
 *   {tm:B} k keyed log 0x00 version              → sorted set of the entity keys that have an open part, all of score 0
 *   {tm:B} v keyed log                           → set of the versions (32 bytes) that have states
 *   {tm:B} p keyed log                           → set of the versions that have own markers
 *   {tm:B} d keyed log                           → set of the versions whose states are being deleted, some thousands at a time
 */
type OfBucket = 'm' | 'v' | 'p' | 'd'
type OfVersion = 'b' | 'o' | 's' | 'k'

export function settledKey(bucket: number): Buffer {
  return Buffer.from(`{tm:${bucket}}t`)
}

export function bucketKey(kind: OfBucket, { keyedLog, bucket }: BucketId): Buffer {
  return Buffer.from(`{tm:${bucket}}${kind}${keyedLog}`)
}

export function versionKey(kind: OfVersion, { keyedLog, bucket }: BucketId, view: string): Buffer {
  return Buffer.concat([Buffer.from(`{tm:${bucket}}${kind}${keyedLog}\0`), versionBytes(view)])
}

/** `prefix`: a `versionKey` of 'o' or 's'. */
export function entityKey(prefix: Buffer, key: Uint8Array): Buffer {
  const at = Buffer.allocUnsafe(prefix.length + key.length)
  at.set(prefix)
  at.set(key, prefix.length)
  return at
}

/** A view version, SHA-256 in hex, as it stands in keys and sets. */
export function versionBytes(view: string): Buffer {
  return Buffer.from(view, 'hex')
}

/** TM_KEY_TOO_LONG: as long as the embedded store takes, so that a deployment can move. */
export function checkKey({ keyedLog }: BucketId, key: Uint8Array): void {
  if (key.length <= ENTITY_KEY_BYTES_MAX) return
  throw failStore(
    'TM_KEY_TOO_LONG',
    `an entity key of ${key.length} bytes in ${keyedLog} is longer than ${ENTITY_KEY_BYTES_MAX}: shorten it, or key by a hash`,
  )
}
