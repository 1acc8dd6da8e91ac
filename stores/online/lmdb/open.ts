import { ByteReader } from '../../../features/values/byte-reader.ts'
import { ByteWriter } from '../../../features/values/byte-writer.ts'
import type { StateParts } from '../../../features/kernel/state-parts.ts'
import { failStore } from '../../errors.ts'
import { openEnvironment } from '../../lmdb-environment.ts'
import type { BinaryDatabase } from '../../lmdb-environment.ts'
import type {
  BackfillClaim,
  BucketFlush,
  BucketId,
  EntityRead,
  EntityReadResult,
  FlushOutcome,
  Marker,
  OnlineStore,
  ParkedView,
  ViewMove,
} from '../online-store.ts'
import { isSameRevision } from '../online-store.ts'

/*
 * Keys (u16 big-endian bucket, so that a bucket is a key range):
 *
 *   'm' keyed log 0x00 u16 bucket                → marker: varint epoch, string incarnation, string views, varint nextOffset, blob origins, f64 flush time, varint revision
 *   'b' keyed log 0x00 u16 bucket 32-byte view version     → that version's own marker, while it is outside the live set
 *   'o' keyed log 0x00 u16 bucket 32-byte view version key → open part of an entity's state
 *   's' keyed log 0x00 u16 bucket 32-byte view version key → sealed part, where it is apart
 */
const OPEN = 'o'
const SEALED = 's'
type Part = typeof OPEN | typeof SEALED

const KEY_BYTES_MAX = 1900
const SCAN_KEYS = 1000

export interface LmdbOnlineOptions {
  readonly path: string
  /** Epoch ms; the embedded store's clock. */
  readonly now: () => number
}

export async function openLmdbOnline(options: LmdbOnlineOptions): Promise<OnlineStore> {
  return new LmdbOnlineStore(openEnvironment(options.path), options.now)
}

/** A live marker as last read. */
interface HeldMarker {
  readonly key: Buffer
  bytes: Uint8Array | null
  marker: Marker | null
}

class LmdbOnlineStore implements OnlineStore {
  readonly #db: BinaryDatabase
  readonly #now: () => number
  readonly #liveMarkers = new Map<string, Map<number, HeldMarker>>()
  #closed = false

  constructor(db: BinaryDatabase, now: () => number) {
    this.#db = db
    this.#now = now
  }

  async claim(
    keyedLog: string,
    buckets: readonly number[],
    owner: { incarnation: string; views: string },
  ): Promise<Marker[]> {
    const markers = this.#db.transactionSync(() => buckets.map((bucket) => this.#claimOne({ keyedLog, bucket }, owner)))
    await this.#db.flushed
    return markers
  }

  #claimOne(id: MarkerId, owner: { incarnation: string; views: string }): Marker {
    const held = this.#marker(id)
    if (held !== null && held.incarnation !== owner.incarnation) {
      throw failStore(
        'TM_ONLINE_INCARNATION',
        `bucket ${id.bucket} of ${id.keyedLog} holds states of incarnation ${held.incarnation}, the log is ${owner.incarnation}: the log was made anew; rebuild the online store`,
      )
    }
    const marker: Marker =
      held === null
        ? { epoch: 1, ...owner, nextOffset: 0, origins: new Uint8Array(0), flushTime: 0, revision: 0 }
        : { ...held, epoch: held.epoch + 1 }
    return this.#putMarker(id, marker)
  }

  async claimBackfill(claims: readonly BackfillClaim[]): Promise<(Marker | null)[]> {
    const markers = this.#db.transactionSync(() =>
      claims.map((claim) => {
        const { view, incarnation } = claim
        const id = { ...claim, backfill: view }
        if ((this.#marker(claim)?.epoch ?? null) !== claim.live) return null
        if (this.#marker(id) === null) this.#dropStates(claim, view)
        return this.#claimOne(id, { incarnation, views: view })
      }),
    )
    await this.#db.flushed
    return markers
  }

  async flush(flushes: readonly BucketFlush[]): Promise<FlushOutcome[]> {
    for (const flush of flushes) for (const write of flush.writes) stateKey(OPEN, flush, write.view, write.key)
    const outcomes = this.#db.transactionSync(() => flushes.map((flush) => this.#flushOne(flush)))
    await this.#db.flushed
    return outcomes
  }

  #flushOne(flush: BucketFlush): FlushOutcome {
    const marker = this.#marker(flush)
    if (marker === null || marker.epoch !== flush.epoch) return 'stale-epoch'
    if (marker.views !== flush.views) return 'other-views'
    if (marker.nextOffset !== flush.expectedOffset) return 'other-offset'
    for (const { view, key, state } of flush.writes) {
      const open = stateKey(OPEN, flush, view, key)
      if (state === null) this.#db.removeSync(open)
      else this.#db.putSync(open, asBuffer(state.open))
      const sealed = state === null ? null : state.sealed
      if (sealed === undefined) continue
      if (sealed === null) this.#db.removeSync(stateKey(SEALED, flush, view, key))
      else this.#db.putSync(stateKey(SEALED, flush, view, key), asBuffer(sealed))
    }
    const { nextOffset, origins } = flush
    this.#putMarker(flush, { ...marker, nextOffset, origins, flushTime: Math.floor(this.#now()) })
    return 'applied'
  }

  async read(reads: readonly EntityRead[]): Promise<EntityReadResult[]> {
    return this.readNow(reads)
  }

  readNow(reads: readonly EntityRead[]): EntityReadResult[] {
    this.#db.resetReadTxn()
    let before: EntityRead | null = null
    let marker: Marker | null = null
    return reads.map((read) => {
      // Views of one entity stand next to each other, and share its marker.
      if (before === null || before.bucket !== read.bucket || before.keyedLog !== read.keyedLog)
        marker = this.#liveMarker(read)
      before = read
      if (marker !== null && read.known != null && isSameRevision(marker, read.known))
        return { marker, states: [], unchanged: true }
      return { marker, states: read.keys.map(({ view, key }) => this.#state(read, view, key)) }
    })
  }

  async markers(keyedLog: string, buckets: readonly number[], backfill?: string): Promise<(Marker | null)[]> {
    this.#db.resetReadTxn()
    return buckets.map((bucket) => this.#marker({ keyedLog, bucket, backfill }))
  }

  async *scan(bucket: BucketId, view: string): AsyncIterable<{ key: Uint8Array; state: StateParts }> {
    const prefix = stateKey(OPEN, bucket, view, new Uint8Array(0))
    const end = prefixEnd(prefix)
    let start = prefix
    for (;;) {
      this.#db.resetReadTxn()
      const keys = Array.from(this.#db.getKeys({ start, end, limit: SCAN_KEYS }), (key) => Uint8Array.from(key))
      for (const at of keys) {
        const key = at.subarray(prefix.length)
        // Both parts from one snapshot: nothing is awaited between the two reads.
        this.#db.resetReadTxn()
        const state = this.#state(bucket, view, key)
        if (state !== null) yield { key, state: copyParts(state) }
      }
      if (keys.length < SCAN_KEYS) return
      start = Buffer.concat([keys[keys.length - 1], Buffer.from([0])])
    }
  }

  async join(moves: readonly ViewMove[]): Promise<FlushOutcome[]> {
    const outcomes = this.#db.transactionSync(() => moves.map((move) => this.#joinOne(move)))
    await this.#db.flushed
    return outcomes
  }

  #joinOne(move: ViewMove): FlushOutcome {
    const live = this.#marker(move)
    const own = this.#marker({ ...move, backfill: move.view })
    if (own === null || own.epoch !== move.epoch || live?.epoch !== move.live?.epoch) return 'stale-epoch'
    if (live?.views !== move.live?.views) return 'other-views'
    const isEmpty = live === null || live.views === ''
    if (!isEmpty && live.nextOffset !== own.nextOffset) return 'other-offset'
    const epoch = Math.max(live?.epoch ?? 0, own.epoch) + 1
    this.#putMarker(move, { ...(isEmpty ? own : live), views: move.views, epoch })
    this.#db.removeSync(markerKey({ ...move, backfill: move.view }))
    return 'applied'
  }

  async leave(moves: readonly ViewMove[]): Promise<FlushOutcome[]> {
    const outcomes = this.#db.transactionSync(() => moves.map((move) => this.#leaveOne(move)))
    await this.#db.flushed
    return outcomes
  }

  #leaveOne(move: ViewMove): FlushOutcome {
    const live = this.#marker(move)
    if (live === null || live.epoch !== move.live?.epoch) return 'stale-epoch'
    if (live.views !== move.live.views) return 'other-views'
    const epoch = live.epoch + 1
    this.#putMarker({ ...move, backfill: move.view }, { ...live, views: move.view, epoch })
    this.#putMarker(move, { ...live, views: move.views, epoch })
    return 'applied'
  }

  async drop(parked: readonly ParkedView[]): Promise<FlushOutcome[]> {
    const outcomes = this.#db.transactionSync(() =>
      parked.map((one): FlushOutcome => {
        const id = { ...one, backfill: one.view }
        if (this.#marker(id)?.epoch !== one.epoch) return 'stale-epoch'
        this.#dropStates(one, one.view)
        this.#db.removeSync(markerKey(id))
        return 'applied'
      }),
    )
    await this.#db.flushed
    return outcomes
  }

  #dropStates({ keyedLog, bucket }: BucketId, view: string): void {
    for (const part of [OPEN, SEALED] as const) {
      const start = Buffer.concat([bucketKey(part, keyedLog, bucket), Buffer.from(view, 'hex')])
      for (const key of Array.from(this.#db.getKeys({ start, end: prefixEnd(start) }))) this.#db.removeSync(key)
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#db.close()
  }

  #state(bucket: BucketId, view: string, key: Uint8Array): StateParts | null {
    const open = this.#db.getBinary(stateKey(OPEN, bucket, view, key))
    if (open === undefined) return null
    return { open, sealed: this.#db.getBinary(stateKey(SEALED, bucket, view, key)) ?? null }
  }

  #marker(id: MarkerId): Marker | null {
    const bytes = this.#db.getBinary(markerKey(id))
    return bytes === undefined ? null : decodeMarker(bytes)
  }

  /** The same object while the stored bytes are the same. */
  #liveMarker({ keyedLog, bucket }: BucketId): Marker | null {
    let ofLog = this.#liveMarkers.get(keyedLog)
    if (ofLog === undefined) this.#liveMarkers.set(keyedLog, (ofLog = new Map()))
    let held = ofLog.get(bucket)
    if (held === undefined)
      ofLog.set(bucket, (held = { key: markerKey({ keyedLog, bucket }), bytes: null, marker: null }))
    const bytes = this.#db.getBinaryFast(held.key)
    if (bytes === undefined) return null
    if (held.bytes === null || !startsWith(bytes, bytes.length, held.bytes)) {
      held.bytes = Uint8Array.prototype.slice.call(bytes, 0, bytes.length)
      held.marker = decodeMarker(held.bytes)
    }
    return held.marker
  }

  /** Returns the marker as stored, with the next revision. */
  #putMarker(id: MarkerId, marker: Marker): Marker {
    const revision = marker.revision + 1
    const writer = new ByteWriter()
    writer.varint(marker.epoch)
    writer.string(marker.incarnation)
    writer.string(marker.views)
    writer.varint(marker.nextOffset)
    writer.blob(marker.origins)
    writer.f64(marker.flushTime)
    writer.varint(revision)
    this.#db.putSync(markerKey(id), Buffer.from(writer.finish()))
    return { ...marker, revision }
  }
}

/** `shared` is LMDB's reusable buffer: only its first `length` bytes belong to the value. */
function startsWith(shared: Uint8Array, length: number, bytes: Uint8Array): boolean {
  if (length !== bytes.length) return false
  for (let i = 0; i < length; i++) if (shared[i] !== bytes[i]) return false
  return true
}

function decodeMarker(bytes: Uint8Array): Marker {
  const reader = new ByteReader(bytes)
  return {
    epoch: reader.varint(),
    incarnation: reader.string(),
    views: reader.string(),
    nextOffset: reader.varint(),
    origins: reader.blob().slice(),
    flushTime: reader.f64(),
    revision: reader.varint(),
  }
}

/** Of a live set, or of the view version `backfill`. */
type MarkerId = BucketId & { readonly backfill?: string }

function bucketKey(kind: 'm' | 'b' | Part, keyedLog: string, bucket: number): Buffer {
  return Buffer.concat([Buffer.from(`${kind}${keyedLog}\0`), Buffer.from([bucket >> 8, bucket & 0xff])])
}

function markerKey({ keyedLog, bucket, backfill }: MarkerId): Buffer {
  if (backfill === undefined) return bucketKey('m', keyedLog, bucket)
  return Buffer.concat([bucketKey('b', keyedLog, bucket), Buffer.from(backfill, 'hex')])
}

function copyParts({ open, sealed }: StateParts): StateParts {
  return { open: Uint8Array.from(open), sealed: sealed === null ? null : Uint8Array.from(sealed) }
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

function stateKey(part: Part, { keyedLog, bucket }: BucketId, view: string, key: Uint8Array): Buffer {
  const prefix = statePrefix(part, keyedLog, bucket, view)
  const at = Buffer.allocUnsafe(prefix.length + key.length)
  at.set(prefix)
  at.set(key, prefix.length)
  if (at.length > KEY_BYTES_MAX) {
    throw failStore(
      'TM_KEY_TOO_LONG',
      `an entity key of ${key.length} bytes in ${keyedLog} is too long for the embedded online store (about 1,800 bytes): shorten it, or key by a hash`,
    )
  }
  return at
}

/** The least key that is greater than every key with this prefix (no prefix ends in 0xff alone: it begins with a letter). */
function prefixEnd(prefix: Buffer): Buffer {
  let last = prefix.length - 1
  while (prefix[last] === 0xff) last--
  const end = Buffer.from(prefix.subarray(0, last + 1))
  end[last]++
  return end
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
