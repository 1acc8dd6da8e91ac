import type { Log, TopicAppend } from '../log/log.ts'
import { encodeFlushRecord } from './flush-record.ts'
import type { Marker, OnlineStore } from './online-store.ts'

/** Topic of a keyed log's flush journal; it has the keyed log's partitions. */
export const flushTopic = (keyedLog: string): string => `flushes.${keyedLog}`

/**
 * When the states of a keyed partition came to hold what: what its live markers showed, written down by whoever owns the partition. An owner first writes what
 * the markers show that it claimed, then what each flush with events, join or leave made of them, each before the next change of the same bucket. So whatever is killed
 * in between, and whoever comes late, a record is of something that happened, and of all changes of a bucket at most the last, which its marker still shows, is missing.
 * A marker that moved on without events is not written down: what the states hold is the same.
 */
export class FlushJournal {
  readonly #log: Log
  readonly #online: OnlineStore
  readonly #keyedLog: string
  readonly #partition: number

  private constructor(stores: OwnerStores, keyedLog: string, partition: number) {
    this.#log = stores.log
    this.#online = stores.online
    this.#keyedLog = keyedLog
    this.#partition = partition
  }

  /** For an owner of one of the keyed log's `partitions`. */
  static async open(
    stores: OwnerStores,
    keyedLog: string,
    { partition, partitions }: { readonly partition: number; readonly partitions: number },
  ): Promise<FlushJournal> {
    await stores.log.createTopic(flushTopic(keyedLog), { partitions })
    return new FlushJournal(stores, keyedLog, partition)
  }

  /**
   * Writes down what the live markers of buckets show, durably. `epochs`: those that the caller gave them; false, and nothing is written, where one has another:
   * its next owner writes down what it found.
   */
  async record(epochs: ReadonlyMap<number, number>): Promise<boolean> {
    return (await FlushJournal.recordAll([{ journal: this, epochs }], false))[0]
  }

  /** The same for several journals of the same stores, in one append. `isFlush`: nothing but offset and time has changed since the last record of each bucket. */
  static async recordAll(entries: readonly JournalEntry[], isFlush: boolean): Promise<boolean[]> {
    const appends: TopicAppend[] = []
    const isWritten = entries.map(() => true)
    const byKeyedLog = Map.groupBy(entries.keys(), (i) => entries[i].journal.#keyedLog)
    for (const [keyedLog, numbers] of byKeyedLog) {
      const buckets = numbers.map((i) => [...entries[i].epochs.keys()].sort((a, b) => a - b))
      const markers = await entries[numbers[0]].journal.#online.markers(keyedLog, buckets.flat())
      let at = 0
      for (const [n, i] of numbers.entries()) {
        const { journal, epochs } = entries[i]
        const own = markers.slice(at, (at += buckets[n].length))
        const records = recordsOf(buckets[n], own, epochs, isFlush)
        if (records === null) isWritten[i] = false
        else if (records.length > 0)
          appends.push({ topic: flushTopic(keyedLog), partition: journal.#partition, values: records })
      }
    }
    if (appends.length > 0) await entries[0].journal.#log.appendAll(appends)
    return isWritten
  }
}

/** Journals of flushes, with the epochs of the buckets that had events. See `FlushJournal.record`. */
export async function recordFlushes(entries: readonly JournalEntry[]): Promise<boolean[]> {
  return FlushJournal.recordAll(entries, true)
}

export interface JournalEntry {
  readonly journal: FlushJournal
  readonly epochs: ReadonlyMap<number, number>
}

/** What the markers of buckets show, those alike in one record; null where one has another epoch. */
function recordsOf(
  buckets: readonly number[],
  markers: readonly (Marker | null)[],
  epochs: ReadonlyMap<number, number>,
  isFlush: boolean,
): Uint8Array[] | null {
  const groups = new Map<string, { marker: Marker; buckets: number[] }>()
  for (const [i, bucket] of buckets.entries()) {
    const marker = markers[i]
    if (marker === null || marker.epoch !== epochs.get(bucket)) return null
    const name = `${marker.epoch}/${marker.nextOffset}/${marker.flushTime}/${marker.views}`
    const group = groups.get(name) ?? { marker, buckets: [] }
    groups.set(name, group)
    group.buckets.push(bucket)
  }
  return [...groups.values()].map(({ marker, buckets: own }) =>
    encodeFlushRecord({ ...marker, owner: isFlush ? null : marker, buckets: own }),
  )
}

interface OwnerStores {
  readonly log: Log
  readonly online: OnlineStore
}
