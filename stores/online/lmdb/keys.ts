import { failStore } from '../../errors.ts'
import type { BucketId } from '../online-store.ts'

/* Keys of the embedded online store; `open.ts` has their grammar. */
type Part = 'o' | 's'

export const VERSION_BYTES = 32
const KEY_BYTES_MAX = 1900

/** Of a live set, or of the view version `backfill`. */
export type MarkerId = BucketId & { readonly backfill?: string }

export function bucketKey(kind: 'm' | 'b' | Part, keyedLog: string, bucket: number): Buffer {
  return Buffer.concat([Buffer.from(`${kind}${keyedLog}\0`), Buffer.from([bucket >> 8, bucket & 0xff])])
}

export function markerKey({ keyedLog, bucket, backfill }: MarkerId): Buffer {
  if (backfill === undefined) return bucketKey('m', keyedLog, bucket)
  return Buffer.concat([bucketKey('b', keyedLog, bucket), Buffer.from(backfill, 'hex')])
}

const PREFIXES_MAX = 10_000
const prefixes = new Map<string, Buffer>()

/** Kept: there are few, and every state that is read or written needs one. */
function statePrefix(part: Part, keyedLog: string, bucket: number, view: string): Buffer {
  const name = `${part}${view}${bucket}/${keyedLog}`
  const held = prefixes.get(name)
  if (held !== undefined) return held
  if (prefixes.size >= PREFIXES_MAX) prefixes.clear()
  const prefix = Buffer.concat([bucketKey(part, keyedLog, bucket), Buffer.from(view, 'hex')])
  prefixes.set(name, prefix)
  return prefix
}

export function stateKey(part: Part, bucket: BucketId, view: string, key: Uint8Array): Buffer {
  checkKey(bucket, key)
  return stateKeys(part, bucket, view)(key)
}

/** Makes the keys of a view's states in a bucket, of entity keys that are checked. */
export function stateKeys(part: Part, { keyedLog, bucket }: BucketId, view: string): (key: Uint8Array) => Buffer {
  const prefix = statePrefix(part, keyedLog, bucket, view)
  return (key) => {
    const at = Buffer.allocUnsafe(prefix.length + key.length)
    at.set(prefix)
    at.set(key, prefix.length)
    return at
  }
}

/** Of a state's key all but the keyed log's name and the entity key: part, NUL, bucket, version. */
const KEY_FRAME_BYTES = 4 + VERSION_BYTES

/** TM_KEY_TOO_LONG. */
export function checkKey({ keyedLog }: BucketId, key: Uint8Array): void {
  if (KEY_FRAME_BYTES + Buffer.byteLength(keyedLog) + key.length <= KEY_BYTES_MAX) return
  throw failStore(
    'TM_KEY_TOO_LONG',
    `an entity key of ${key.length} bytes in ${keyedLog} is too long for the embedded online store (about 1,800 bytes): shorten it, or key by a hash`,
  )
}

/** The least key that is greater than every key with this prefix (no prefix ends in 0xff alone: it begins with a letter). */
export function prefixEnd(prefix: Buffer): Buffer {
  let last = prefix.length - 1
  while (prefix[last] === 0xff) last--
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last]++
  return end
}
