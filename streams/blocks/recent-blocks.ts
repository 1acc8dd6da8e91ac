import type { AppendResult } from '../../stores/log/log.ts'
import type { Block } from './block.ts'
import type { BlockAppend } from '../ingest/keyed-append.ts'

/** Held of one partition; where nobody takes them, those before are let go. */
const BLOCKS_MAX = 4

/** A block with its place in the log. */
export interface PlacedBlock {
  readonly offset: number
  readonly appendTime: number
  readonly block: Block
}

/** Blocks that this process has just appended, so that the applier beside its ingest need not read, decompress and decode them. The log remains the truth: whatever is not here is read there. */
export class RecentBlocks {
  readonly #byPartition = new Map<string, PlacedBlock[]>()

  /** Blocks that are in the log now. */
  add(appends: readonly BlockAppend[], results: readonly AppendResult[]): void {
    appends.forEach(({ topic, partition, block }, i) => {
      const name = `${topic}/${partition}`
      let blocks = this.#byPartition.get(name)
      if (blocks === undefined) this.#byPartition.set(name, (blocks = []))
      const { baseOffset, appendTime } = results[i]
      if (blocks.length === BLOCKS_MAX) blocks.length = 0
      blocks.push({ offset: baseOffset, appendTime, block })
    })
  }

  /** The blocks of a partition without a gap from offset `from` on, which are then no longer held, nor any before them. */
  take(topic: string, partition: number, from: number): readonly PlacedBlock[] {
    const name = `${topic}/${partition}`
    const blocks = this.#byPartition.get(name)
    if (blocks === undefined) return []
    let start = 0
    while (start < blocks.length && blocks[start].offset < from) start++
    let end = start
    while (end < blocks.length && blocks[end].offset === from + (end - start)) end++
    const taken = blocks.slice(start, end)
    blocks.splice(0, end)
    return taken
  }
}
