import { ByteReader } from '../../features/values/byte-reader.ts'
import { ByteWriter } from '../../features/values/byte-writer.ts'
import type { BlockSequences, Sequence } from './block.ts'
import { NO_SEQUENCE } from './block.ts'
import { failStream } from '../errors.ts'
import { lastSequence } from './thinned-block.ts'

/** Whether a comes after b. */
export function isAfter(aOffset: number, aIndex: number, b: Sequence): boolean {
  return aOffset > b.offset || (aOffset === b.offset && aIndex > b.index)
}

/** The highest sequence seen by origin, in one keyed partition: drops what was seen before and detects what is missing. */
export class OriginFilter {
  readonly #highest: Map<string, Sequence>

  constructor(highest: ReadonlyMap<string, Sequence> = new Map()) {
    this.#highest = new Map(highest)
  }

  /** By origin. */
  get highest(): ReadonlyMap<string, Sequence> {
    return this.#highest
  }

  /** Varint count, then by origin name: string, f64 offset, f64 index. */
  encode(): Uint8Array {
    const writer = new ByteWriter()
    writer.varint(this.#highest.size)
    for (const origin of [...this.#highest.keys()].sort()) {
      const { offset, index } = this.#highest.get(origin) ?? NO_SEQUENCE
      writer.string(origin)
      writer.f64(offset)
      writer.f64(index)
    }
    return writer.finish()
  }

  static decode(bytes: Uint8Array): OriginFilter {
    const highest = new Map<string, Sequence>()
    if (bytes.length === 0) return new OriginFilter(highest)
    const reader = new ByteReader(bytes)
    for (let n = reader.varint(); n > 0; n--)
      highest.set(reader.string(), { offset: reader.f64(), index: reader.f64() })
    return new OriginFilter(highest)
  }

  /** First row of the block that was not seen before (its length if all were). TM_STREAM_GAP if blocks before it are missing. */
  accept(block: BlockSequences, where: string): number {
    const seen = this.#highest.get(block.origin) ?? NO_SEQUENCE
    if (isAfter(block.previous.offset, block.previous.index, seen)) {
      throw failStream(
        'TM_STREAM_GAP',
        `${where}: a block of ${block.origin} follows sequence ${block.previous.offset}.${block.previous.index}, but only ${seen.offset}.${seen.index} was seen: blocks are missing; \`tidemark repair\` shows what to do`,
      )
    }
    let row = 0
    while (row < block.length && !isAfter(block.sequenceOffset[row], block.sequenceIndex[row], seen)) row++
    const last = lastSequence(block)
    if (isAfter(last.offset, last.index, seen)) this.#highest.set(block.origin, last)
    return row
  }
}
