import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import { failStore } from '../errors.ts'
import type { Log } from '../log/log.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { flushTopic } from './flush-journal.ts'
import { decodeFlushRecord, encodeFlushRecord } from './flush-record.ts'
import type { FlushRecord } from './flush-record.ts'

/*
 * A segment: records of a flush journal that are sealed, as an object (see `seal-journals.ts`).
 *
 *   u8 1 (format), then zstd (with checksum) of
 *   varint first offset, varint next offset, f64 known from (epoch ms)
 *   varint count, then each a blob: what the buckets held before the first record, as claimed records
 *   varint count, then each a blob: the records
 */
const FORMAT = 1
const COMPRESSION = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 }
const OFFSET_DIGITS = 16

/** Of one keyed log's journal. */
export interface JournalPlace {
  readonly keyedLog: string
  /** Of the journal's topic. */
  readonly incarnation: string
  readonly partition: number
}

export interface JournalStores {
  readonly log: Log
  readonly objects: ObjectStore
}

export interface JournalSegment {
  readonly first: number
  /** The next segment, or the log, goes on here. */
  readonly next: number
  /** The last change of each bucket before this segment, in the order of changes: all that times from `knownFrom` on need of what came before. */
  readonly base: readonly FlushRecord[]
  /** The newest change before this segment; 0: there was none. */
  readonly knownFrom: number
  readonly records: readonly FlushRecord[]
}

/** null: there is no journal. */
export async function journalPlace(log: Log, keyedLog: string, partition: number): Promise<JournalPlace | null> {
  const topic = await log.topic(flushTopic(keyedLog))
  return topic === null ? null : { keyedLog, incarnation: topic.incarnation, partition }
}

const folderOf = ({ keyedLog, incarnation, partition }: JournalPlace): string =>
  `flushes/${keyedLog}/${incarnation}/p${partition}/`

/** A function of the first offset: of two that seal the same records, one makes the object. */
export function segmentName(place: JournalPlace, first: number): string {
  return `${folderOf(place)}${String(first).padStart(OFFSET_DIGITS, '0')}.zst`
}

/** First offsets of the segments, ascending. */
export async function listSegments(
  { objects }: Pick<JournalStores, 'objects'>,
  place: JournalPlace,
): Promise<number[]> {
  return (await objects.list(folderOf(place))).map(({ name }) => Number(name.slice(-OFFSET_DIGITS - 4, -4)))
}

/** null: there is none, or no longer. TM_DATA_NEWER, TM_DATA_DAMAGED. */
export async function readSegment(
  { objects }: Pick<JournalStores, 'objects'>,
  place: JournalPlace,
  first: number,
): Promise<JournalSegment | null> {
  const name = segmentName(place, first)
  const bytes = await objects.read(name)
  if (bytes === null) return null
  const segment = decodeSegment(bytes, name)
  if (segment.first !== first) throw damaged(name)
  return segment
}

export function encodeSegment({ first, next, knownFrom, base, records }: JournalSegment): Uint8Array {
  const writer = new ByteWriter(64 << 10)
  writer.varint(first)
  writer.varint(next)
  writer.f64(knownFrom)
  for (const list of [base, records]) {
    writer.varint(list.length)
    for (const record of list) writer.blob(encodeFlushRecord(record))
  }
  return Buffer.concat([Buffer.from([FORMAT]), zstdCompressSync(writer.finish(), { params: COMPRESSION })])
}

export function decodeSegment(bytes: Uint8Array, name: string): JournalSegment {
  if (bytes[0] > FORMAT)
    throw failStore('TM_DATA_NEWER', `${name} has format ${bytes[0]}, this version reads up to ${FORMAT}: upgrade`)
  try {
    const reader = new ByteReader(zstdDecompressSync(bytes.subarray(1)))
    const [first, next, knownFrom] = [reader.varint(), reader.varint(), reader.f64()]
    const list = (): FlushRecord[] =>
      Array.from({ length: reader.varint() }, (_, i) => decodeFlushRecord(reader.blob(), `record ${i} of ${name}`))
    const base = list()
    return { first, next, knownFrom, base, records: list() }
  } catch (cause) {
    if (isTidemarkError(cause)) throw cause
    throw damaged(name, cause)
  }
}

function damaged(name: string, cause?: unknown): Error {
  return failStore('TM_DATA_DAMAGED', `${name} is damaged: restore the objects from a backup`, { cause })
}

/** What the buckets held after a journal's records, as the next segment begins with it. */
export class JournalBase {
  readonly #held = new Map<number, FlushRecord>()
  readonly #owners = new Map<string, NonNullable<FlushRecord['owner']>>()
  #newest: number

  private constructor(knownFrom: number) {
    this.#newest = knownFrom
  }

  /** Behind a segment; null: before the first one. */
  static after(segment: JournalSegment | null): JournalBase {
    const base = new JournalBase(segment?.knownFrom ?? 0)
    for (const record of [...(segment?.base ?? []), ...(segment?.records ?? [])]) base.#add(record)
    return base
  }

  get knownFrom(): number {
    return this.#newest
  }

  /** One record for the buckets that hold alike, by their least bucket. */
  get records(): FlushRecord[] {
    const groups = new Map<string, FlushRecord & { readonly buckets: number[] }>()
    for (const [bucket, record] of [...this.#held].sort(([a], [b]) => a - b)) {
      const owner = record.owner ?? this.#owners.get(`${bucket}/${record.epoch}`) ?? null
      const { epoch, nextOffset, flushTime } = record
      const name = JSON.stringify([owner, epoch, nextOffset, flushTime])
      const group = groups.get(name) ?? { owner, epoch, nextOffset, flushTime, buckets: [] }
      groups.set(name, group)
      group.buckets.push(bucket)
    }
    return [...groups.values()]
  }

  #add(record: FlushRecord): void {
    this.#newest = Math.max(this.#newest, record.flushTime)
    for (const bucket of record.buckets) {
      if (record.owner !== null) this.#owners.set(`${bucket}/${record.epoch}`, record.owner)
      const held = this.#held.get(bucket)
      if (held === undefined || inOrder(held, record) <= 0) this.#held.set(bucket, record)
    }
  }
}

/** Changes of a marker in the order in which they were made. */
export function inOrder(a: FlushRecord, b: FlushRecord): number {
  return a.flushTime - b.flushTime || a.epoch - b.epoch || a.nextOffset - b.nextOffset
}
