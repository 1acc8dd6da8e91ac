import { recordFlushes } from '../../stores/online/flush-journal.ts'
import type { FlushJournal } from '../../stores/online/flush-journal.ts'
import type { BucketFlush, FlushOutcome } from '../../stores/online/online-store.ts'
import type { StreamContext } from '../stream-context.ts'

/** What a keyed partition has to flush. Nothing may be applied to it until it knows the outcome. */
export interface PendingFlush {
  readonly flushes: readonly BucketFlush[]
  /** Told of the buckets that have events; absent: nobody is. */
  readonly journal?: FlushJournal
  /** Of the buckets that have events. */
  readonly epochs: ReadonlyMap<number, number>
}

/**
 * Flushes several partitions in one change of the store, and writes down in one append that they were. Outcomes in order: one whose bucket is refused, or that was taken over before it was
 * written down, does not keep the others from being stored.
 */
export async function flushTogether(
  { online }: Pick<StreamContext, 'online'>,
  pending: readonly PendingFlush[],
): Promise<FlushOutcome[]> {
  const flushes = pending.flatMap((one) => one.flushes)
  const byBucket = flushes.length === 0 ? [] : await online.flush(flushes)
  let at = 0
  const outcomes = pending.map((one): FlushOutcome => {
    const own = byBucket.slice(at, (at += one.flushes.length))
    return own.find((outcome) => outcome !== 'applied') ?? 'applied'
  })
  const written = pending.flatMap(({ journal, epochs }, i) =>
    outcomes[i] === 'applied' && journal !== undefined && epochs.size > 0 ? [{ journal, epochs, i }] : [],
  )
  const isOwner = await recordFlushes(written)
  for (const [n, { i }] of written.entries()) if (!isOwner[n]) outcomes[i] = 'stale-epoch'
  return outcomes
}
