import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { LogRecord } from '../../stores/log/log.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import type { Block, Sequence } from '../blocks/block.ts'
import { NO_SEQUENCE } from '../blocks/block.ts'
import { isAfter, OriginFilter } from '../blocks/origin-filter.ts'
import { bucketsOf } from '../apply/partition-worker.ts'
import { newestMarker } from './level-markers.ts'
import { encodeSkipped } from '../blocks/skipped-block.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { decodeKeyedBlock, lastSequence, linkBlock } from '../blocks/thinned-block.ts'
import { producersOf } from './producers.ts'
import type { Producer, SequenceRange } from './producers.ts'

const FETCH_BYTES = 4 << 20
const IMPORT = 'import/'

/**
 * What becomes of events that are missing: `restored` where they stood, from what was sent; `sent-again` behind the log's end; `import-again`: by the import
 * of the same file, which only its owner can run; `lost`: nothing has them any more; `none`: a damaged block that no producer misses.
 */
export type Remedy = 'restored' | 'sent-again' | 'import-again' | 'lost' | 'none'

/** One fault of a keyed partition. */
export interface Fault {
  readonly keyedLog: string
  readonly partition: number
  readonly code: 'TM_STREAM_GAP' | 'TM_BLOCK_UNREADABLE'
  /** Of the block that readers stop at; null: the last blocks of a producer are missing, and the next one will stop them. */
  readonly offset: number | null
  /** Whose events are missing; null: not known. */
  readonly origin: string | null
  readonly producer: string | null
  readonly remedy: Remedy
  /** Events restored or sent again; null: not known. */
  events: number | null
  /** Blocks behind the gap that are skipped, and the events in them: these too are sent again, or imported again. */
  skippedBlocks: number
  skippedEvents: number
}

interface Resend extends SequenceRange {
  readonly producer: Producer
}

/** How a partition is mended. Pure of effects until it is carried out. */
export interface PartitionRepair {
  readonly keyedLog: KeyedLog
  readonly partition: number
  readonly faults: readonly Fault[]
  readonly changes: readonly { readonly offset: number; readonly value: Uint8Array }[]
  readonly closers: readonly Uint8Array[]
  readonly resends: readonly Resend[]
}

export interface RepairOptions {
  /** Go on with what is left of an import in whose blocks there is a gap, without the events that are missing. */
  readonly acceptLoss?: boolean
}

/** Finds what keeps a keyed partition's readers from its end, and how to mend it. */
export async function planRepair(
  context: StreamContext,
  keyedLog: KeyedLog,
  partition: number,
  options: RepairOptions = {},
): Promise<PartitionRepair> {
  // Before the log is read: what a producer has noted as sent is then in what is read.
  const producers = await producersOf(context, keyedLog, partition)
  const { behind, ahead } = await readPositions(context, keyedLog, partition)
  const plan = new RepairPlan(context, keyedLog, partition, { producers, options, ahead })
  await plan.walkRead(behind)
  await plan.walk(behind)
  return plan
}

/** Where a reader stands, with the high-waters there. */
interface ReadPosition {
  readonly offset: number
  readonly highest: ReadonlyMap<string, Sequence>
}

/** Of applier and archive: the one that has read less, and the one that has read more. */
async function readPositions(
  context: StreamContext,
  keyedLog: KeyedLog,
  partition: number,
): Promise<{ readonly behind: ReadPosition; readonly ahead: ReadPosition }> {
  const topic = await context.log.topic(keyedTopic(keyedLog.name))
  const place = { keyedLog: keyedLog.name, incarnation: topic?.incarnation ?? '', partition }
  const file = topic === null ? undefined : (await archiveFiles(context, place)).at(-1)
  const archived: ReadPosition =
    file === undefined
      ? { offset: 0, highest: new Map() }
      : {
          offset: file.lastOffset + 1,
          highest: OriginFilter.decode(Buffer.from(file.origins, 'base64')).highest,
        }
  const marker = newestMarker(await context.online.markers(keyedLog.name, bucketsOf(context, partition)))
  if (marker === null) return { behind: archived, ahead: archived }
  const applied = { offset: marker.nextOffset, highest: OriginFilter.decode(marker.origins).highest }
  return applied.offset < archived.offset ? { behind: applied, ahead: archived } : { behind: archived, ahead: applied }
}

class RepairPlan implements PartitionRepair {
  readonly keyedLog: KeyedLog
  readonly partition: number
  readonly faults: Fault[] = []
  readonly changes: { offset: number; value: Uint8Array }[] = []
  readonly closers: Uint8Array[] = []
  readonly resends: Resend[] = []
  readonly #context: StreamContext
  readonly #producers: ReadonlyMap<string, Producer>
  readonly #options: RepairOptions
  readonly #ahead: ReadPosition
  #highest: Map<string, Sequence> = new Map()
  /** Offset of the last block taken, by origin. */
  readonly #lastOffset = new Map<string, number>()
  /** Damaged blocks that no origin has claimed. */
  readonly #damaged: number[] = []
  /** The gap behind which an origin's blocks are skipped. */
  readonly #gaps = new Map<string, Fault>()

  constructor(
    context: StreamContext,
    keyedLog: KeyedLog,
    partition: number,
    {
      producers,
      options,
      ahead,
    }: { readonly producers: readonly Producer[]; readonly options: RepairOptions; readonly ahead: ReadPosition },
  ) {
    this.#context = context
    this.keyedLog = keyedLog
    this.partition = partition
    this.#producers = new Map(producers.map((producer) => [producer.origin, producer]))
    this.#options = options
    this.#ahead = ahead
  }

  async walk({ offset, highest }: ReadPosition): Promise<void> {
    this.#highest = new Map(highest)
    for await (const record of this.#records(offset)) await this.#take(record)
    for (const producer of this.#producers.values()) await this.#closeEnd(producer)
    for (const offset of this.#damaged) this.#skipDamaged(offset)
  }

  /**
   * What applier and archive have read: appliers with idle buckets come by again, fills and `forget` read all of it. A damaged block is made whole from
   * events that both have, and no others; else it is skipped. Nothing else is changed there.
   */
  async walkRead({ offset: until, highest }: ReadPosition): Promise<void> {
    const { log } = this.#context
    const topic = keyedTopic(this.keyedLog.name)
    const start = (await log.topic(topic)) === null ? 0 : await log.startOffset(topic, this.partition)
    const restore = async (origin: string, upTo: Sequence): Promise<void> => {
      // Where the log was cut, what an origin sent before is not missing.
      const after = this.#highest.get(origin) ?? (start === 0 ? NO_SEQUENCE : upTo)
      const producer = this.#producers.get(origin)
      const isRead = !isAfter(upTo.offset, upTo.index, highest.get(origin) ?? NO_SEQUENCE)
      if (
        this.#damaged.length > 0 &&
        isRead &&
        isAfter(upTo.offset, upTo.index, after) &&
        producer?.holds(after) === true
      )
        await this.#restore(producer, { after, until: upTo })
    }
    for await (const { offset, value } of this.#records(start)) {
      if (offset >= until) break
      const block = this.#decode(value)
      if (block === null) {
        this.#damaged.push(offset)
        continue
      }
      await restore(block.origin, block.previous)
      this.#advance(offset, block)
    }
    for (const [origin, last] of highest) await restore(origin, last)
    for (const offset of this.#damaged.splice(0)) this.#skipDamaged(offset)
  }

  async *#records(from: number): AsyncIterable<LogRecord> {
    const { log } = this.#context
    const topic = keyedTopic(this.keyedLog.name)
    if ((await log.topic(topic)) === null) return
    for (let next = from; ;) {
      const records = await log.read(topic, this.partition, next, FETCH_BYTES)
      if (records.length === 0) return
      next = records[records.length - 1].offset + 1
      yield* records
    }
  }

  async #take({ offset, value }: LogRecord): Promise<void> {
    const block = this.#decode(value)
    if (block === null) {
      this.#damaged.push(offset)
      return
    }
    const seen = this.#highest.get(block.origin) ?? NO_SEQUENCE
    const { previous } = block
    if (isAfter(previous.offset, previous.index, seen) && !(await this.#closeGap(offset, block, seen))) return
    this.#advance(offset, block)
  }

  #advance(offset: number, block: Block): void {
    const last = lastSequence(block)
    if (!isAfter(last.offset, last.index, this.#highest.get(block.origin) ?? NO_SEQUENCE)) return
    this.#highest.set(block.origin, last)
    this.#lastOffset.set(block.origin, offset)
  }

  #decode(value: Uint8Array): Block | null {
    try {
      return decodeKeyedBlock(value, this.keyedLog.source.fields)
    } catch {
      return null
    }
  }

  /** Whether the block is taken; else it is skipped. */
  async #closeGap(offset: number, block: Block, seen: Sequence): Promise<boolean> {
    const { origin, previous } = block
    const producer = this.#producers.get(origin)
    const holds = producer?.holds(seen) === true
    if (producer !== undefined && holds && (await this.#restore(producer, { after: seen, until: previous })))
      return true
    if (holds || (origin.startsWith(IMPORT) && this.#options.acceptLoss !== true)) {
      this.#skip(offset, block, holds ? 'sent-again' : 'import-again')
      return false
    }
    this.#fault({ code: 'TM_STREAM_GAP', offset, origin, remedy: 'lost' })
    this.changes.push({ offset, value: linkBlock(block, seen, lastSequence(block)) })
    return true
  }

  /** Puts a producer's events where a damaged block stands that can only have been its own. */
  async #restore(producer: Producer, range: SequenceRange): Promise<boolean> {
    const { origin } = producer
    const after = this.#lastOffset.get(origin) ?? -1
    const at = this.#damaged.findIndex((offset) => offset > after && this.#isUnread(offset, producer, range))
    if (at < 0) return false
    const blocks: Block[] = []
    for await (const block of producer.blocks(range, Infinity)) blocks.push(block)
    if (blocks.length === 0) return false
    const [offset] = this.#damaged.splice(at, 1)
    this.changes.push({ offset, value: linkBlock(blocks[0], range.after, range.until) })
    this.#fault({ code: 'TM_BLOCK_UNREADABLE', offset, origin, remedy: 'restored' }).events = blocks[0].length
    this.#gaps.delete(origin)
    return true
  }

  /** Whether every reader takes a block at this offset up as one that it lacks, or has what is in it. */
  #isUnread(offset: number, { origin }: Producer, { until }: SequenceRange): boolean {
    const { offset: read, highest } = this.#ahead
    return offset >= read || !isAfter(until.offset, until.index, highest.get(origin) ?? NO_SEQUENCE)
  }

  #skip(offset: number, { origin, length }: Block, remedy: Remedy): void {
    let fault = this.#gaps.get(origin)
    if (fault === undefined) {
      fault = this.#fault({ code: 'TM_STREAM_GAP', offset, origin, remedy })
      this.#gaps.set(origin, fault)
    }
    fault.skippedBlocks++
    fault.skippedEvents += length
    this.changes.push({ offset, value: encodeSkipped({ code: 'TM_STREAM_GAP', events: length, origin }) })
  }

  /** A producer goes on from what it noted as sent: the log must have all up to there. */
  async #closeEnd(producer: Producer): Promise<void> {
    const { origin, lastSent: until } = producer
    const after = this.#highest.get(origin) ?? NO_SEQUENCE
    if (!isAfter(until.offset, until.index, after)) return
    const range = { after, until }
    if (!producer.holds(after)) {
      this.#fault({ code: 'TM_STREAM_GAP', offset: null, origin, remedy: 'lost' })
      this.closers.push(linkBlock(producer.noEvents, after, until))
      return
    }
    if (await this.#restore(producer, range)) return
    let events = 0
    for await (const block of producer.blocks(range, FETCH_BYTES)) events += block.length
    const fault =
      this.#gaps.get(origin) ?? this.#fault({ code: 'TM_STREAM_GAP', offset: null, origin, remedy: 'sent-again' })
    fault.events = events
    this.resends.push({ producer, ...range })
  }

  #skipDamaged(offset: number): void {
    const missing = [...this.#gaps.values()].find(({ remedy }) => remedy === 'import-again')
    const fault = this.#fault({
      code: 'TM_BLOCK_UNREADABLE',
      offset,
      origin: missing?.origin ?? null,
      remedy: missing === undefined ? 'none' : 'import-again',
    })
    fault.skippedBlocks = 1
    this.changes.push({ offset, value: encodeSkipped({ code: 'TM_BLOCK_UNREADABLE', events: 0, origin: '' }) })
  }

  #fault(fault: Pick<Fault, 'code' | 'offset' | 'origin' | 'remedy'>): Fault {
    const { origin } = fault
    const whole: Fault = {
      keyedLog: this.keyedLog.name,
      partition: this.partition,
      ...fault,
      producer: origin === null ? null : (this.#producers.get(origin)?.name ?? nameOf(origin)),
      events: null,
      skippedBlocks: 0,
      skippedEvents: 0,
    }
    this.faults.push(whole)
    return whole
  }
}

function nameOf(origin: string): string {
  return origin.startsWith(IMPORT) ? `an imported file (SHA-256 ${origin.split('/')[1]})` : `unknown origin ${origin}`
}
