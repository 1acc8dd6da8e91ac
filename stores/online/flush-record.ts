import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import { failStore } from '../errors.ts'

/*
 * A record of a flush journal (see `flush-journal.ts`): what the live markers of some buckets showed.
 *
 *   u8      1 (format)
 *   u8      0 claimed | 1 flushed
 *   claimed: string incarnation, string views
 *   varint  epoch, varint nextOffset, varint flush time (epoch ms)
 *   varint  how many buckets, then each, ascending, as its distance from the one before
 */
const FORMAT = 1
const CLAIMED = 0
const FLUSHED = 1

/** What the live markers of `buckets` showed from `flushTime` on, until their next change. */
export interface FlushRecord {
  /** Of the marker; null after a flush, which changes neither: those of the claim, join or leave that gave the bucket this epoch. */
  readonly owner: { readonly incarnation: string; readonly views: string } | null
  readonly epoch: number
  readonly nextOffset: number
  readonly flushTime: number
  readonly buckets: readonly number[]
}

const writer = new ByteWriter(256)

export function encodeFlushRecord({ owner, epoch, nextOffset, flushTime, buckets }: FlushRecord): Uint8Array {
  writer.reset()
  writer.u8(FORMAT)
  writer.u8(owner === null ? FLUSHED : CLAIMED)
  if (owner !== null) {
    writer.string(owner.incarnation)
    writer.string(owner.views)
  }
  writer.varint(epoch)
  writer.varint(nextOffset)
  writer.varint(flushTime)
  writer.varint(buckets.length)
  let before = 0
  for (const bucket of buckets) {
    writer.varint(bucket - before)
    before = bucket
  }
  return writer.finish()
}

/** TM_DATA_NEWER, TM_DATA_DAMAGED; `where` names the record. */
export function decodeFlushRecord(bytes: Uint8Array, where: string): FlushRecord {
  try {
    const reader = new ByteReader(bytes)
    const format = reader.u8()
    if (format > FORMAT)
      throw failStore('TM_DATA_NEWER', `${where} has format ${format}, this version reads up to ${FORMAT}: upgrade`)
    const kind = reader.u8()
    if (format < FORMAT || kind > FLUSHED) throw new RangeError('no such kind of record')
    const owner = kind === CLAIMED ? { incarnation: reader.string(), views: reader.string() } : null
    const [epoch, nextOffset, flushTime] = [reader.varint(), reader.varint(), reader.varint()]
    let bucket = 0
    const buckets = Array.from({ length: reader.varint() }, () => (bucket += reader.varint()))
    return { owner, epoch, nextOffset, flushTime, buckets }
  } catch (cause) {
    if (isTidemarkError(cause)) throw cause
    throw failStore('TM_DATA_DAMAGED', `${where} is damaged: restore the data folder from a backup`, { cause })
  }
}
