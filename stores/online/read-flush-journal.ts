import { failStore } from '../errors.ts'
import { flushTopic } from './flush-journal.ts'
import { decodeFlushRecord } from './flush-record.ts'
import type { FlushRecord } from './flush-record.ts'
import { journalPlace, listSegments, readSegment } from './journal-segment.ts'
import type { JournalPlace, JournalStores } from './journal-segment.ts'

const READ_BYTES = 1 << 20

/**
 * A journal's records up to its present end, in the order in which they were written, segments first; nothing where there is no journal. Records may be sealed meanwhile, some then come a second time, and old
 * segments may be dropped: `knownFrom` is right when all is read. TM_DATA_DAMAGED, TM_DATA_NEWER.
 */
export class FlushJournalReader {
  readonly #stores: JournalStores
  readonly #keyedLog: string
  readonly #partition: number
  #knownFrom = 0
  #next = 0
  /** First offset of the last segment that was read. */
  #taken = -1

  constructor(stores: JournalStores, keyedLog: string, partition: number) {
    this.#stores = stores
    this.#keyedLog = keyedLog
    this.#partition = partition
  }

  /** What was in effect is known from this time on (epoch ms); 0: nothing was ever dropped. */
  get knownFrom(): number {
    return this.#knownFrom
  }

  async *records(): AsyncIterable<FlushRecord> {
    const { log } = this.#stores
    const place = await journalPlace(log, this.#keyedLog, this.#partition)
    if (place === null) return
    const topic = flushTopic(this.#keyedLog)
    const end = await log.endOffset(topic, this.#partition)
    // Looked at before the segments are: what is trimmed is in one by then.
    const start = await log.startOffset(topic, this.#partition)
    const held = await listSegments(this.#stores, place)
    if (held.length === 0) this.#next = start
    else yield* this.#segments(place, held)
    while (this.#next < end) {
      const from = this.#next
      const read = await log.read(topic, this.#partition, from, READ_BYTES)
      // Sealed since, and trimmed: the records are in segments now.
      if ((await log.startOffset(topic, this.#partition)) > from) {
        yield* this.#segments(place, await listSegments(this.#stores, place))
        if (this.#next === from) throw this.#missing(from)
        continue
      }
      if (read.length === 0) return
      for (const { offset, value } of read) {
        this.#next = offset + 1
        if (offset < end) yield decodeFlushRecord(value, `record ${offset} of ${topic}, partition ${this.#partition},`)
      }
    }
  }

  /** The records of the segments that reach beyond `#next`; the first of them may have been read from the log in part. */
  async *#segments(place: JournalPlace, held: readonly number[]): AsyncIterable<FlushRecord> {
    let list = held
    for (;;) {
      const first = list.find((offset, i) => offset > this.#taken && (list[i + 1] ?? Infinity) > this.#next)
      if (first === undefined) return
      const segment = await readSegment(this.#stores, place, first)
      if (segment === null) {
        // Dropped since: what is left begins later.
        list = await listSegments(this.#stores, place)
        continue
      }
      if (first > this.#next) {
        // A listing may lack what is made while it is made: two that are alike are believed.
        const before = list
        list = await listSegments(this.#stores, place)
        if (list.join() !== before.join()) continue
        // Those before it were dropped, so that it is the first one, or some are lost.
        if (first !== list[0]) throw this.#missing(this.#next)
        this.#knownFrom = segment.knownFrom
        yield* segment.base
      }
      this.#taken = first
      if (segment.next <= this.#next) continue
      yield* segment.records
      this.#next = segment.next
    }
  }

  #missing(offset: number): Error {
    return failStore(
      'TM_DATA_DAMAGED',
      `records of the flush journal of ${this.#keyedLog}, partition ${this.#partition}, are missing from offset ${offset} on: restore log and objects from one backup`,
    )
  }
}
