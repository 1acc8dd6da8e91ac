import type { AppendResult } from '../../stores/log/log.ts'
import type { Block } from './block.ts'
import type { BlockAppend } from '../ingest/keyed-append.ts'

/** Held of one partition; where nobody takes them, those before are let go. A round of ingest makes one or more for each partition of the source. */
const BLOCKS_MAX = 64
const EVENTS_MAX = 200_000

/** A block with its place in the log. */
export interface PlacedBlock {
  readonly offset: number
  readonly appendTime: number
  readonly block: Block
}

/** A block with where what came before it ends at the latest: logs may leave offsets out (see `AppendResult.emptyFrom`). */
interface HeldBlock extends PlacedBlock {
  readonly emptyFrom: number
}

/** Blocks that this process has just appended, so that the applier beside its ingest need not read, decompress and decode them. The log remains the truth: whatever is not here is read there. */
export class RecentBlocks {
  readonly #byPartition = new Map<string, HeldBlock[]>()

  /** Blocks that are in the log now. */
  add(appends: readonly BlockAppend[], results: readonly AppendResult[]): void {
    appends.forEach(({ topic, partition, block }, i) => {
      const name = `${topic}/${partition}`
      let blocks = this.#byPartition.get(name)
      if (blocks === undefined) this.#byPartition.set(name, (blocks = []))
      const { baseOffset, emptyFrom, appendTime } = results[i]
      if (blocks.length === BLOCKS_MAX || eventsIn(blocks) >= EVENTS_MAX) blocks.length = 0
      blocks.push({ offset: baseOffset, emptyFrom, appendTime, block })
    })
  }

  /** The blocks of a partition without another record between them from offset `from` on, which are then no longer held, nor any before them. */
  take(topic: string, partition: number, from: number): readonly PlacedBlock[] {
    const name = `${topic}/${partition}`
    const blocks = this.#byPartition.get(name)
    if (blocks === undefined) return []
    let start = 0
    while (start < blocks.length && blocks[start].offset < from) start++
    let end = start
    let next = from
    while (end < blocks.length && blocks[end].emptyFrom <= next) next = blocks[end++].offset + 1
    const taken = blocks.slice(start, end)
    blocks.splice(0, end)
    return taken
  }
}

function eventsIn(blocks: readonly PlacedBlock[]): number {
  return blocks.reduce((sum, { block }) => sum + block.length, 0)
}
