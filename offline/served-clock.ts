import type { CompiledView } from '../features/kernel/compiled-view.ts'
import { partitionOf } from '../features/values/entity-key.ts'
import { keyedLogOf } from '../registry/keyed-logs.ts'
import { FlushJournalReader } from '../stores/online/read-flush-journal.ts'
import { failStore } from '../stores/errors.ts'
import { BucketChanges } from './bucket-changes.ts'
import { failOffline } from './errors.ts'
import type { OfflineContext } from './offline-context.ts'
import type { PinnedPositions } from './manifest.ts'

/** What the online store held at any time: the offset up to which events were in the states of a bucket, and of which views. */
export interface ServedClock {
  /** Times up to this one are known, and what they saw is archived. */
  readonly completeUntil: number
  readonly logs: ReadonlyMap<string, KeyedLogClock>
}

/** Of one keyed log, by bucket. */
export interface KeyedLogClock {
  readonly changes: readonly BucketChanges[]
  /** Hashes of view sets, by the number that changes name them with. */
  readonly sets: readonly string[]
}

/**
 * Reads the flush journals and live markers of the views' keyed logs, for rows at times `from`…`to`. All changes stamped before the markers' settled time are known: a change
 * is in the journal before the next one of its bucket is made, and the last one is what the marker shows. TM_AS_OF_UNSUPPORTED, TM_SPINE_BEFORE_JOURNAL, TM_DATA_DAMAGED.
 */
export async function openServedClock(
  context: OfflineContext,
  views: readonly CompiledView[],
  pinned: PinnedPositions,
  [from, to]: readonly [from: number, to: number],
): Promise<ServedClock> {
  let completeUntil = pinned.completeUntil
  const logs = new Map<string, KeyedLogClock>()
  for (const keyedLog of new Set(views.map(keyedLogOf))) {
    const reading = new JournalReading(context, pinned, { keyedLog, from, to })
    const settled = await reading.run()
    if (from < reading.knownFrom) throw tooOld(keyedLog, from, reading.knownFrom)
    completeUntil = Math.min(completeUntil, settled - 1, ...reading.changes.map(({ firstBeyond }) => firstBeyond - 1))
    logs.set(keyedLog, reading)
  }
  return { completeUntil, logs }
}

function tooOld(keyedLog: string, from: number, knownFrom: number): Error {
  return failOffline(
    'TM_SPINE_BEFORE_JOURNAL',
    `a spine row is at ${new Date(from).toISOString()}; what ${keyedLog} held is known from ${new Date(knownFrom).toISOString()} on, older records of its flush journal were dropped (setting \`flushJournal.keep\`): leave earlier rows out, or use --as-of arrival`,
    { details: { keyedLog, from, knownFrom } },
  )
}

interface Reading {
  readonly keyedLog: string
  readonly from: number
  readonly to: number
}

class JournalReading implements KeyedLogClock {
  readonly changes: readonly BucketChanges[]
  readonly sets: string[] = []
  /** What was in effect before is no longer known; 0: all of it is. */
  knownFrom = 0
  readonly #context: OfflineContext
  readonly #keyedLog: string
  readonly #incarnation: string
  /** Set numbers by bucket and epoch; −1: of another incarnation of the keyed log. */
  readonly #setOf: Map<number, number>[]

  constructor(context: OfflineContext, pinned: PinnedPositions, { keyedLog, ...range }: Reading) {
    this.#context = context
    this.#keyedLog = keyedLog
    this.#incarnation = pinned.incarnations[keyedLog]
    this.changes = Array.from({ length: context.buckets }, (_, bucket) => {
      const endOffset = pinned.positions[`${keyedLog}/${partitionOf(bucket, context.partitions)}`]
      return new BucketChanges({ ...range, endOffset })
    })
    this.#setOf = this.changes.map(() => new Map())
  }

  /** Returns the settled time: what was stamped earlier has been read. */
  async run(): Promise<number> {
    const { online, partitions } = this.#context
    if (online === undefined)
      throw failOffline(
        'TM_AS_OF_UNSUPPORTED',
        '--as-of served needs the online store, which says until when the flush journal is complete: run it where that is, or use arrival',
      )
    const keyedLog = this.#keyedLog
    // Markers first: what they no longer show is in the journal by then.
    const buckets = this.changes.map((_, bucket) => bucket)
    const { time, markers } = await online.settledMarkers(keyedLog, buckets)
    for (let partition = 0; partition < partitions; partition++) {
      const journal = new FlushJournalReader(this.#context, keyedLog, partition)
      for await (const { owner, epoch, nextOffset, flushTime, buckets: own } of journal.records()) {
        const claimed = owner === null ? null : this.#numberOf(owner)
        for (const bucket of own) {
          if (claimed !== null) this.#setOf[bucket]?.set(epoch, claimed)
          // Written down late, of an owner whose claim was dropped: times that are known have a later change.
          else if (flushTime <= journal.knownFrom && this.#setOf[bucket]?.has(epoch) === false) continue
          this.#add(bucket, { time: flushTime, epoch, nextOffset })
        }
      }
      this.knownFrom = Math.max(this.knownFrom, journal.knownFrom)
    }
    for (const [bucket, marker] of markers.entries()) {
      if (marker === null) continue
      this.#setOf[bucket].set(marker.epoch, this.#numberOf(marker))
      this.#add(bucket, { time: marker.flushTime, epoch: marker.epoch, nextOffset: marker.nextOffset })
    }
    return time
  }

  #numberOf({ incarnation, views }: { incarnation: string; views: string }): number {
    if (incarnation !== this.#incarnation) return -1
    const known = this.sets.indexOf(views)
    return known >= 0 ? known : this.sets.push(views) - 1
  }

  #add(bucket: number, change: { time: number; epoch: number; nextOffset: number }): void {
    const set = this.#setOf[bucket]?.get(change.epoch)
    if (set === undefined)
      throw failStore(
        'TM_DATA_DAMAGED',
        `the flush journal of ${this.#keyedLog} has a flush of bucket ${bucket} by epoch ${change.epoch}, which it never saw claimed: restore the data folder from a backup`,
      )
    if (set >= 0) this.changes[bucket].add({ ...change, set })
  }
}
