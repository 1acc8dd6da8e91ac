import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { FlushJournal } from '../../stores/online/flush-journal.ts'
import type { Marker } from '../../stores/online/online-store.ts'
import { failStream } from '../errors.ts'
import { bucketsOf } from '../apply/partition-worker.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** null: no bucket has a marker yet. */
export function newestMarker(markers: readonly (Marker | null)[]): Marker | null {
  return markers.reduce((a, b) => (a !== null && (b === null || b.nextOffset <= a.nextOffset) ? a : b), null)
}

/**
 * Brings the markers of a partition's buckets to one offset, that of the newest, and lets versions that are being built begin anew: each reader of the partition then stands
 * at one place, with one set of high-waters. A bucket whose marker lies behind has had no event since: the events of a flush reach all buckets in one change. No worker may be
 * at it.
 */
export async function levelMarkers(context: StreamContext, keyedLog: KeyedLog, partition: number): Promise<void> {
  const { online, log } = context
  const topic = await log.topic(keyedTopic(keyedLog.name))
  if (topic === null) return
  const buckets = bucketsOf(context, partition)
  const held = await online.markers(keyedLog.name, buckets)
  const made = buckets.filter((_, i) => held[i] !== null)
  const markers = await online.claim(keyedLog.name, made, { incarnation: topic.incarnation, views: '' })
  const newest = newestMarker(markers)
  if (newest === null) return
  // The last flush of a bucket may not be written down yet, and the next change of its marker hides when it was.
  const journal = await FlushJournal.open(context, keyedLog.name, { partition, partitions: context.partitions })
  await journal.record(new Map(made.map((bucket, i) => [bucket, markers[i].epoch])))
  const { nextOffset, origins } = newest
  const flushes = made.flatMap((bucket, i) => {
    const { epoch, views, nextOffset: expectedOffset } = markers[i]
    if (expectedOffset === nextOffset) return []
    return [{ keyedLog: keyedLog.name, bucket, epoch, views, expectedOffset, nextOffset, origins, writes: [] }]
  })
  const rewrites = buckets.map((bucket, i) => ({
    keyedLog: keyedLog.name,
    bucket,
    expectedOffset: held[i] === null ? null : nextOffset,
    writes: [],
  }))
  const outcomes = [...(await online.flush(flushes)), ...(await online.rewrite(rewrites))]
  if (outcomes.some((outcome) => outcome !== 'applied'))
    throw failStream('TM_STREAM_FENCED', `${keyedLog.name}, partition ${partition}: a worker is at it; stop it first`)
}
