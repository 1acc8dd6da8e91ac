import { ByteReader } from '../../../features/values/byte-reader.ts'
import { asBuffer } from '../../as-buffer.ts'
import { ByteWriter } from '../../../features/values/byte-writer.ts'
import type { StateParts } from '../../../features/kernel/state-parts.ts'
import { failStore } from '../../errors.ts'
import { openEnvironment } from '../../lmdb-environment.ts'
import type { BinaryDatabase } from '../../lmdb-environment.ts'
import type {
  BackfillClaim,
  BucketFlush,
  BucketId,
  BucketRewrite,
  EntityRead,
  EntityReadResult,
  FlushOutcome,
  Marker,
  OnlineStore,
  ParkedView,
  ViewMove,
} from '../online-store.ts'
import { isSameRevision } from '../online-store.ts'
import { bucketKey, checkKey, markerKey, prefixEnd, stateKey, stateKeys, VERSION_BYTES } from './keys.ts'
import type { MarkerId } from './keys.ts'

/*
 * Keys (u16 big-endian bucket, so that a bucket is a key range):
 *
 *   'm' keyed log 0x00 u16 bucket                → marker: varint epoch, string incarnation, string views, varint nextOffset, blob origins, f64 flush time, varint revision
 *   'b' keyed log 0x00 u16 bucket 32-byte view version     → that version's own marker, while it is outside the live set
 *   'o' keyed log 0x00 u16 bucket 32-byte view version key → open part of an entity's state
 *   's' keyed log 0x00 u16 bucket 32-byte view version key → sealed part, where it is apart
 *   'c'                                          → f64 settled time: no change is stamped earlier
 */
const SETTLED_KEY = Buffer.from('c')
const OPEN = 'o'
const SEALED = 's'

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
    return this.#durably(() => buckets.map((bucket) => this.#claimOne({ keyedLog, bucket }, owner)))
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
    return this.#durably(() =>
      claims.map((claim) => {
        const { view, incarnation } = claim
        const id = { ...claim, backfill: view }
        if ((this.#marker(claim)?.epoch ?? null) !== claim.live) return null
        if (this.#marker(id) === null) this.#dropStates(claim, view)
        return this.#claimOne(id, { incarnation, views: view })
      }),
    )
  }

  async flush(flushes: readonly BucketFlush[]): Promise<FlushOutcome[]> {
    for (const flush of flushes) for (const { key } of flush.writes) checkKey(flush, key)
    return this.#durably(() => flushes.map((flush) => this.#flushOne(flush)))
  }

  #flushOne(flush: BucketFlush): FlushOutcome {
    const marker = this.#marker(flush)
    if (marker === null || marker.epoch !== flush.epoch) return 'stale-epoch'
    if (marker.views !== flush.views) return 'other-views'
    if (marker.nextOffset !== flush.expectedOffset) return 'other-offset'
    let openKeys: ((key: Uint8Array) => Buffer) | null = null
    let sealedKeys: ((key: Uint8Array) => Buffer) | null = null
    let keysOf = ''
    for (const { view, key, state } of flush.writes) {
      if (openKeys === null || sealedKeys === null || keysOf !== view) {
        openKeys = stateKeys(OPEN, flush, view)
        sealedKeys = stateKeys(SEALED, flush, view)
        keysOf = view
      }
      if (state === null) this.#db.removeSync(openKeys(key))
      else this.#db.putSync(openKeys(key), asBuffer(state.open))
      const sealed = state === null ? null : state.sealed
      if (sealed === undefined) continue
      if (sealed === null) this.#db.removeSync(sealedKeys(key))
      else this.#db.putSync(sealedKeys(key), asBuffer(sealed))
    }
    const { nextOffset, origins } = flush
    this.#putMarker(flush, { ...marker, nextOffset, origins, flushTime: this.#stamp(marker) })
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

  /** Writers take turns: inside one, no earlier change is still on its way. */
  async settledMarkers(
    keyedLog: string,
    buckets: readonly number[],
  ): Promise<{ time: number; markers: (Marker | null)[] }> {
    return this.#durably(() => {
      const time = Math.max(this.#settled(), Math.floor(this.#now()))
      const bytes = Buffer.alloc(8)
      bytes.writeDoubleLE(time)
      this.#db.putSync(SETTLED_KEY, bytes)
      return { time, markers: buckets.map((bucket) => this.#marker({ keyedLog, bucket })) }
    })
  }

  async *scan(
    bucket: BucketId,
    view: string,
    after: Uint8Array | null = null,
  ): AsyncIterable<{ key: Uint8Array; state: StateParts }> {
    const prefix = stateKey(OPEN, bucket, view, new Uint8Array(0))
    const end = prefixEnd(prefix)
    let start = after === null ? prefix : Buffer.concat([prefix, after, Buffer.from([0])])
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
    return this.#durably(() => moves.map((move) => this.#joinOne(move)))
  }

  #joinOne(move: ViewMove): FlushOutcome {
    const live = this.#marker(move)
    const own = this.#marker({ ...move, backfill: move.view })
    if (own === null || own.epoch !== move.epoch || live?.epoch !== move.live?.epoch) return 'stale-epoch'
    if (live?.views !== move.live?.views) return 'other-views'
    const isEmpty = live === null || live.views === ''
    if (!isEmpty && live.nextOffset !== own.nextOffset) return 'other-offset'
    const epoch = Math.max(live?.epoch ?? 0, own.epoch) + 1
    this.#putMarker(move, { ...(isEmpty ? own : live), views: move.views, epoch, flushTime: this.#stamp(live) })
    this.#db.removeSync(markerKey({ ...move, backfill: move.view }))
    return 'applied'
  }

  async leave(moves: readonly ViewMove[]): Promise<FlushOutcome[]> {
    return this.#durably(() => moves.map((move) => this.#leaveOne(move)))
  }

  #leaveOne(move: ViewMove): FlushOutcome {
    const live = this.#marker(move)
    if (live === null || live.epoch !== move.live?.epoch) return 'stale-epoch'
    if (live.views !== move.live.views) return 'other-views'
    const epoch = live.epoch + 1
    this.#putMarker({ ...move, backfill: move.view }, { ...live, views: move.view, epoch })
    this.#putMarker(move, { ...live, views: move.views, epoch, flushTime: this.#stamp(live) })
    return 'applied'
  }

  async drop(parked: readonly ParkedView[]): Promise<FlushOutcome[]> {
    return this.#durably(() =>
      parked.map((one): FlushOutcome => {
        const id = { ...one, backfill: one.view }
        if (this.#marker(id)?.epoch !== one.epoch) return 'stale-epoch'
        this.#dropStates(one, one.view)
        this.#db.removeSync(markerKey(id))
        return 'applied'
      }),
    )
  }

  async rewrite(rewrites: readonly BucketRewrite[]): Promise<FlushOutcome[]> {
    return this.#durably(() => rewrites.map((rewrite) => this.#rewriteOne(rewrite)))
  }

  #rewriteOne(rewrite: BucketRewrite): FlushOutcome {
    const live = this.#marker(rewrite)
    if ((live?.nextOffset ?? null) !== rewrite.expectedOffset) return 'other-offset'
    for (const { view, key, state } of rewrite.writes) {
      for (const [part, bytes] of [
        [OPEN, state?.open],
        [SEALED, state?.sealed],
      ] as const) {
        const at = stateKey(part, rewrite, view, key)
        if (bytes == null) this.#db.removeSync(at)
        else this.#db.putSync(at, asBuffer(bytes))
      }
    }
    const own = bucketKey('b', rewrite.keyedLog, rewrite.bucket)
    for (const key of Array.from(this.#db.getKeys({ start: own, end: prefixEnd(own) }))) {
      this.#dropStates(rewrite, key.toString('hex', own.length))
      this.#db.removeSync(key)
    }
    if (rewrite.forget !== undefined) this.#forget(rewrite, rewrite.forget)
    if (live !== null) this.#putMarker(rewrite, { ...live, epoch: live.epoch + 1 })
    return 'applied'
  }

  #forget({ keyedLog, bucket }: BucketId, key: Uint8Array): void {
    for (const part of [OPEN, SEALED] as const) {
      const start = bucketKey(part, keyedLog, bucket)
      for (const at of Array.from(this.#db.getKeys({ start, end: prefixEnd(start) })))
        if (Buffer.compare(at.subarray(start.length + VERSION_BYTES), key) === 0) this.#db.removeSync(at)
    }
  }

  #dropStates({ keyedLog, bucket }: BucketId, view: string): void {
    for (const part of [OPEN, SEALED] as const) {
      const start = Buffer.concat([bucketKey(part, keyedLog, bucket), Buffer.from(view, 'hex')])
      for (const key of Array.from(this.#db.getKeys({ start, end: prefixEnd(start) }))) this.#db.removeSync(key)
    }
  }

  /** In one transaction, durable when it resolves. */
  async #durably<T>(change: () => T): Promise<T> {
    const result = this.#db.transactionSync(change)
    await this.#db.flushed
    return result
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#db.close()
  }

  /** The time of a change, in its write transaction: of changes of one marker in their order, and after what was settled. */
  #stamp(marker: Marker | null): number {
    return Math.max(marker?.flushTime ?? 0, this.#settled(), Math.floor(this.#now()))
  }

  #settled(): number {
    return this.#db.getBinary(SETTLED_KEY)?.readDoubleLE(0) ?? 0
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

function copyParts({ open, sealed }: StateParts): StateParts {
  return { open: Uint8Array.from(open), sealed: sealed === null ? null : Uint8Array.from(sealed) }
}
