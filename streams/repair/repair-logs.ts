import type { Block } from '../blocks/block.ts'
import { everyKeyedLog } from '../every-keyed-log.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { linkBlock } from '../blocks/thinned-block.ts'
import { levelMarkers } from './level-markers.ts'
import { planRepair } from './partition-repair.ts'
import type { Fault, PartitionRepair, RepairOptions } from './partition-repair.ts'
import type { Producer, SequenceRange } from './producers.ts'

/** About so much of what was sent becomes one block. */
const BLOCK_BYTES = 1 << 20

export interface RepairRunOptions extends RepairOptions {
  /** Mend; else only tell. */
  readonly mend: boolean
  readonly onProgress?: (partitions: number, total: number) => void
}

/**
 * Finds what keeps readers from the end of some keyed partition, and mends it: damaged blocks become whole again where they stand, or are skipped; blocks behind a gap are
 * skipped, and everything after the gap is appended again, so that the producer's chain closes. All of it stands in the log: every reader decides alike, now and later.
 * To mend, no role may be at work. Killed at any moment and run again, it completes: what a producer has sent and the log does not have is found anew.
 */
export async function repairLogs(context: StreamContext, options: RepairRunOptions): Promise<Fault[]> {
  const faults: Fault[] = []
  // Those that nothing reads now too: forget, fills and versions that come back read them.
  const keyedLogs = await everyKeyedLog(context.registry)
  const total = keyedLogs.length * context.partitions
  let partitions = 0
  for (const keyedLog of keyedLogs) {
    for (let partition = 0; partition < context.partitions; partition++) {
      const plan = await planRepair(context, keyedLog, partition, options)
      if (options.mend) await mend(context, plan)
      faults.push(...plan.faults)
      options.onProgress?.(++partitions, total)
    }
  }
  return faults
}

async function mend(context: StreamContext, plan: PartitionRepair): Promise<void> {
  const { log } = context
  const { keyedLog, partition, changes, closers, resends } = plan
  const topic = keyedTopic(keyedLog.name)
  if (changes.length === 0 && closers.length === 0 && resends.length === 0) return
  await levelMarkers(context, keyedLog, partition)
  if (changes.length > 0) await log.rewrite(topic, partition, changes)
  if (closers.length > 0) await log.append(topic, partition, closers)
  for (const { producer, ...range } of resends)
    for await (const value of linked(producer, range)) await log.append(topic, partition, [value])
}

/** A producer's events of a range as blocks that follow each other, the last of which ends with the range whatever is left of its events. */
async function* linked(producer: Producer, { after, until }: SequenceRange): AsyncIterable<Uint8Array> {
  let previous = after
  let held: Block | null = null
  for await (const block of producer.blocks({ after, until }, BLOCK_BYTES)) {
    if (held !== null) {
      const last = lastOf(held)
      yield linkBlock(held, previous, last)
      previous = last
    }
    held = block
  }
  yield linkBlock(held ?? producer.noEvents, previous, until)
}

function lastOf({ length, sequenceOffset, sequenceIndex }: Block): { offset: number; index: number } {
  return { offset: sequenceOffset[length - 1], index: sequenceIndex[length - 1] }
}
