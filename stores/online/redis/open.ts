import type { StateParts } from '../../../features/kernel/state-parts.ts'
import { asBuffer } from '../../as-buffer.ts'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import { failStore } from '../../errors.ts'
import { isSameRevision } from '../online-store.ts'
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
import { connectRedis, runScript } from './connection.ts'
import type { RedisConnection, Reply } from './connection.ts'
import { flushScript } from './flush-command.ts'
import { bucketKey, checkKey, entityKey, settledKey, versionBytes, versionKey } from './keys.ts'
import { decodeMarker } from './marker.ts'
import { CLAIM, CLAIM_BACKFILL, CLEAR, DROP, FLUSH, JOIN, LEAVE, REWRITE, SETTLE } from './scripts.ts'

const SCAN_KEYS = 1000
/** States that one script deletes: a few milliseconds. */
const CLEAR_KEYS = 2000

/** By the number that a script answers. */
const OUTCOMES: readonly FlushOutcome[] = ['applied', 'stale-epoch', 'other-views', 'other-offset']

export interface RedisOnlineOptions {
  /** See `connectRedis`. */
  readonly url: string
  /** Epoch ms. Absent: the server's own clock. */
  readonly now?: () => number
}

export async function openRedisOnline({ url, now }: RedisOnlineOptions): Promise<OnlineStore> {
  return new RedisOnlineStore(await connectRedis(url), now)
}

class RedisOnlineStore implements OnlineStore {
  readonly #redis: RedisConnection
  readonly #now: (() => number) | undefined
  #closed = false

  constructor(redis: RedisConnection, now: (() => number) | undefined) {
    this.#redis = redis
    this.#now = now
  }

  async claim(
    keyedLog: string,
    buckets: readonly number[],
    { incarnation, views }: { incarnation: string; views: string },
  ): Promise<Marker[]> {
    // Looked at first, so that a log that was made anew claims nothing.
    for (const [i, held] of (await this.markers(keyedLog, buckets)).entries())
      if (held !== null && held.incarnation !== incarnation)
        throw otherIncarnation({ keyedLog, bucket: buckets[i] }, held.incarnation, incarnation)
    return Promise.all(buckets.map((bucket) => this.#claimOne({ keyedLog, bucket }, incarnation, views)))
  }

  async #claimOne(id: BucketId, incarnation: string, views: string): Promise<Marker> {
    const keys = [bucketKey('m', id), bucketKey('d', id)]
    const [kind, found, dropping] = (await runScript(this.#redis, CLAIM, keys, [incarnation, views])) as Reply[]
    if (kind === 1) throw otherIncarnation(id, String(found), incarnation)
    for (const version of dropping as Buffer[]) await this.#clear(id, version.toString('hex'))
    return decodeMarker(found as Buffer, markerName(id))
  }

  async claimBackfill(claims: readonly BackfillClaim[]): Promise<(Marker | null)[]> {
    return Promise.all(claims.map((claim) => this.#claimBackfillOne(claim)))
  }

  async #claimBackfillOne(claim: BackfillClaim): Promise<Marker | null> {
    const { view, incarnation, live } = claim
    const keys = [
      bucketKey('m', claim),
      versionKey('b', claim, view),
      versionKey('k', claim, view),
      bucketKey('p', claim),
      bucketKey('d', claim),
    ]
    const values = [live === null ? '' : String(live), versionBytes(view), incarnation, view]
    for (;;) {
      const [kind, found] = (await runScript(this.#redis, CLAIM_BACKFILL, keys, values)) as Reply[]
      if (kind === 0) return decodeMarker(found as Buffer, markerName(claim))
      if (kind === 1) throw otherIncarnation(claim, String(found), incarnation)
      if (kind === 2) return null
      await this.#clear(claim, view)
    }
  }

  async flush(flushes: readonly BucketFlush[]): Promise<FlushOutcome[]> {
    for (const flush of flushes) for (const { key } of flush.writes) checkKey(flush, key)
    // Two flushes of one bucket take their turns: commands of one slot keep their order.
    return Promise.all(flushes.map((flush) => this.#flushOne(flush)))
  }

  async #flushOne(flush: BucketFlush): Promise<FlushOutcome> {
    const { keys, values } = flushScript(flush, this.#time())
    let isSent = false
    for (;;) {
      try {
        const outcome = OUTCOMES[Number(await runScript(this.#redis, FLUSH, keys, values))]
        return isSent && outcome === 'other-offset' && (await this.#isApplied(flush)) ? 'applied' : outcome
      } catch (error) {
        // The answer is lost: the marker knows. Only its owner flushes a bucket, one flush after the other.
        if (isSent || !isTidemarkError(error) || error.code !== 'TM_ONLINE_UNAVAILABLE') throw error
        isSent = true
        if (await this.#isApplied(flush)) return 'applied'
      }
    }
  }

  async #isApplied(flush: BucketFlush): Promise<boolean> {
    const [marker] = await this.markers(flush.keyedLog, [flush.bucket], flush.backfill)
    return (
      flush.nextOffset > flush.expectedOffset &&
      marker?.epoch === flush.epoch &&
      marker.views === flush.views &&
      marker.nextOffset === flush.nextOffset
    )
  }

  async read(reads: readonly EntityRead[]): Promise<EntityReadResult[]> {
    return Promise.all(bySlot(reads).map((of) => this.#readSlot(of))).then((read) => read.flat())
  }

  /** Reads of one bucket, from one snapshot. */
  async #readSlot(reads: readonly EntityRead[]): Promise<EntityReadResult[]> {
    const asked = reads.flatMap((read) => [bucketKey('m', read), ...stateKeysOf(read)])
    const found = (await this.#redis.send(asked[0], ['MGET', ...asked])) as (Buffer | null)[]
    let at = 0
    return reads.map((read) => {
      const bytes = found[at++]
      const marker = bytes === null ? null : decodeMarker(bytes, markerName(read))
      const states = read.keys.map((): StateParts | null => {
        const open = found[at++]
        const sealed = found[at++]
        return open === null ? null : { open, sealed }
      })
      if (marker !== null && read.known != null && isSameRevision(marker, read.known))
        return { marker, states: [], unchanged: true }
      return { marker, states }
    })
  }

  async markers(keyedLog: string, buckets: readonly number[], backfill?: string): Promise<(Marker | null)[]> {
    return Promise.all(
      buckets.map(async (bucket) => {
        const id = { keyedLog, bucket }
        const key = backfill === undefined ? bucketKey('m', id) : versionKey('b', id, backfill)
        const bytes = (await this.#redis.send(key, ['GET', key])) as Buffer | null
        return bytes === null ? null : decodeMarker(bytes, markerName(id))
      }),
    )
  }

  /** Settled is what is settled in every bucket that was asked for: their clocks may be of different servers. */
  async settledMarkers(
    keyedLog: string,
    buckets: readonly number[],
  ): Promise<{ time: number; markers: (Marker | null)[] }> {
    const found = await Promise.all(
      buckets.map(async (bucket) => {
        const id = { keyedLog, bucket }
        const keys = [bucketKey('m', id), settledKey(bucket)]
        const [time, bytes] = (await runScript(this.#redis, SETTLE, keys, [this.#time()])) as Reply[]
        return {
          time: Number(String(time)),
          marker: bytes === null ? null : decodeMarker(bytes as Buffer, markerName(id)),
        }
      }),
    )
    return { time: Math.min(...found.map(({ time }) => time)), markers: found.map(({ marker }) => marker) }
  }

  async *scan(
    bucket: BucketId,
    view: string,
    after: Uint8Array | null = null,
  ): AsyncIterable<{ key: Uint8Array; state: StateParts }> {
    const index = versionKey('k', bucket, view)
    let from: Buffer = after === null ? Buffer.from('-') : Buffer.concat([Buffer.from('('), after])
    for (;;) {
      const range = ['ZRANGEBYLEX', index, from, '+', 'LIMIT', '0', String(SCAN_KEYS)]
      const keys = (await this.#redis.send(index, range)) as Buffer[]
      if (keys.length === 0) return
      const [{ states }] = await this.#readSlot([{ ...bucket, keys: keys.map((key) => ({ view, key })) }])
      for (const [i, key] of keys.entries()) {
        const state = states[i]
        if (state !== null) yield { key, state }
      }
      from = Buffer.concat([Buffer.from('('), keys[keys.length - 1]])
    }
  }

  async join(moves: readonly ViewMove[]): Promise<FlushOutcome[]> {
    return this.#move(moves, (move) => {
      const { view, live, epoch, views } = move
      const values = [liveEpoch(live), live?.views ?? '', String(epoch), views, versionBytes(view)]
      return runScript(this.#redis, JOIN, moveKeys(move), [this.#time(), ...values])
    })
  }

  async leave(moves: readonly ViewMove[]): Promise<FlushOutcome[]> {
    return this.#move(moves, (move) => {
      const { view, live, views } = move
      const values = [liveEpoch(live), live?.views ?? '', views, versionBytes(view), view]
      return runScript(this.#redis, LEAVE, moveKeys(move), [this.#time(), ...values])
    })
  }

  /** A bucket may stand in the list twice: commands of one slot keep their order. */
  async #move<T>(moves: readonly T[], run: (move: T) => Promise<Reply>): Promise<FlushOutcome[]> {
    return (await Promise.all(moves.map(run))).map((number) => OUTCOMES[Number(number)])
  }

  async drop(parked: readonly ParkedView[]): Promise<FlushOutcome[]> {
    const outcomes = await this.#move(parked, (one) =>
      runScript(
        this.#redis,
        DROP,
        [versionKey('b', one, one.view), bucketKey('p', one), bucketKey('d', one)],
        [String(one.epoch), versionBytes(one.view)],
      ),
    )
    for (const [i, one] of parked.entries()) if (outcomes[i] === 'applied') await this.#clear(one, one.view)
    return outcomes
  }

  /** Deletes the states of a version that was dropped, in pieces; a process that dies on the way leaves the rest to the bucket's next owner. */
  async #clear(id: BucketId, view: string): Promise<void> {
    const keys = [bucketKey('d', id), versionKey('k', id, view), bucketKey('v', id)]
    const prefixes = [versionKey('o', id, view), versionKey('s', id, view)]
    const values = [versionBytes(view), ...prefixes, String(CLEAR_KEYS)]
    while ((await runScript(this.#redis, CLEAR, keys, values)) === 1);
  }

  async rewrite(rewrites: readonly BucketRewrite[]): Promise<FlushOutcome[]> {
    const outcomes: FlushOutcome[] = []
    for (const rewrite of rewrites) outcomes.push(await this.#rewriteOne(rewrite))
    return outcomes
  }

  async #rewriteOne(rewrite: BucketRewrite): Promise<FlushOutcome> {
    const { expectedOffset, writes, forget } = rewrite
    const keys = (['m', 'p', 'd', 'v'] as const).map((kind) => bucketKey(kind, rewrite))
    const values: (string | Buffer)[] = [
      expectedOffset === null ? '' : String(expectedOffset),
      ...(['b', 'o', 's', 'k'] as const).map((kind) => versionKey(kind, rewrite, '')),
      forget === undefined ? '' : asBuffer(forget),
      forget === undefined ? '0' : '1',
    ]
    for (const { view, key, state } of writes) {
      keys.push(...partKeys(rewrite, view, key))
      values.push(versionBytes(view), asBuffer(key))
      for (const part of [state?.open, state?.sealed])
        if (part == null) values.push('0')
        else values.push('1', asBuffer(part))
    }
    const [outcome, dropped] = (await runScript(this.#redis, REWRITE, keys, values)) as Reply[]
    for (const version of dropped as Buffer[]) await this.#clear(rewrite, version.toString('hex'))
    return OUTCOMES[Number(outcome)]
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#redis.close()
  }

  #time(): string {
    return this.#now === undefined ? '' : String(Math.floor(this.#now()))
  }
}

function otherIncarnation({ keyedLog, bucket }: BucketId, held: string, found: string): Error {
  return failStore(
    'TM_ONLINE_INCARNATION',
    `bucket ${bucket} of ${keyedLog} holds states of incarnation ${held}, the log is ${found}: the log was made anew; rebuild the online store`,
  )
}

function markerName({ keyedLog, bucket }: BucketId): string {
  return `the marker of bucket ${bucket} of ${keyedLog}`
}

function liveEpoch(live: ViewMove['live']): string {
  return live === null ? '' : String(live.epoch)
}

function moveKeys(move: ViewMove): Buffer[] {
  return [bucketKey('m', move), versionKey('b', move, move.view), bucketKey('p', move), settledKey(move.bucket)]
}

function stateKeysOf(read: EntityRead): Buffer[] {
  return read.keys.flatMap(({ view, key }) => partKeys(read, view, key))
}

/** The keys of an entity's open and sealed part. */
function partKeys(id: BucketId, view: string, key: Uint8Array): Buffer[] {
  return (['o', 's'] as const).map((part) => entityKey(versionKey(part, id, view), key))
}

/** Neighbours of one bucket together. */
function bySlot(reads: readonly EntityRead[]): EntityRead[][] {
  const slots: EntityRead[][] = []
  for (const read of reads) {
    const last = slots.at(-1)
    if (last !== undefined && last[0].bucket === read.bucket) last.push(read)
    else slots.push([read])
  }
  return slots
}
