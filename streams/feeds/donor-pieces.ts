import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Log } from '../../stores/log/log.ts'
import type { Sequence } from '../blocks/block.ts'
import { LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import { readDeadLetters, arrivalOf } from '../dead-letters/dead-letters.ts'
import type { LetterSequences, StoredLetter } from '../dead-letters/dead-letters.ts'
import type { Piece } from './donor-order.ts'
import { failStream } from '../errors.ts'
import { isAfter, OriginFilter } from '../blocks/origin-filter.ts'
import type { TakenOver } from './source-feeds.ts'
import { deadTopic, keyedTopic } from '../stream-context.ts'
import { decodeKeyedSequences } from '../blocks/thinned-block.ts'

const FETCH_BYTES = 4 << 20

/** New events of a record of a keyed log, from row `first` on. */
export interface BlockPiece extends Piece {
  readonly kind: 'block'
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly first: number
  /** What its block was written as. */
  readonly source: SourcePlan
}

/** A dead letter that no keyed log had a key for. */
export interface LetterPiece extends Piece {
  readonly kind: 'letter'
  readonly letter: StoredLetter
}

export type DonorPiece = BlockPiece | LetterPiece

interface DonorPartition {
  readonly source: SourcePlan
  /** Read up to here for good. */
  readonly limit: number | null
  readonly topic: string
  readonly partition: number
  readonly filter: OriginFilter
  next: number
}

/** Where the history of a keyed log is. */
export interface Donors {
  readonly source: SourcePlan
  /** Versions of the source whose history this one takes over. */
  readonly others: readonly SourcePlan[]
  /** From them only what comes before these records of the source's topic, by partition. */
  readonly incarnation: string
  readonly before: readonly number[]
  /** How far their logs are read, by `<topic>/<partition>`, where they were taken over already; null: up to now. */
  readonly limits: Readonly<Record<string, number>> | null
  /** The keyed log itself, which is left out. */
  readonly target: string
}

/** All that a source's keyed logs hold, but for one of them, and the events that none of them had a key for. Each `scan` gives what came since the one before. */
export class DonorPieces {
  readonly #log: Log
  readonly #sources: readonly SourcePlan[]
  readonly #source: string
  readonly #target: string
  readonly #limits: Donors['limits']
  readonly #before: Pick<Donors, 'incarnation' | 'before'>
  readonly #partitions = new Map<string, DonorPartition>()
  readonly #seenLetters: LetterSequences = new Map()
  #nextLetter = 0
  #outcomes: LetterOutcomes | null = null

  constructor(log: Log, donors: Donors) {
    this.#log = log
    this.#sources = [donors.source, ...donors.others]
    this.#source = sourceLogName(donors.source)
    this.#target = donors.target
    this.#limits = donors.limits
    this.#before = donors
  }

  /** Where the logs of other versions were read to. */
  get takenOver(): TakenOver {
    const others = [...this.#partitions].filter(([, { source }]) => this.#isOther(source))
    const { incarnation, before } = this.#before
    return { ends: Object.fromEntries(others.map(([name, { next }]) => [name, next])), incarnation, before }
  }

  #isReadAgain(origin: string, { offset }: Sequence): boolean {
    const { incarnation, before } = this.#before
    const [topic, partition] = origin.split('/')
    return topic === incarnation && offset >= (before[Number(partition)] ?? 0)
  }

  #isOther(source: SourcePlan): boolean {
    return sourceLogName(source) !== this.#source
  }

  /** As of the last scan. */
  get outcomes(): LetterOutcomes | null {
    return this.#outcomes
  }

  /** Appends that fail with TM_LOG_CONFLICT once there is more than was scanned. */
  get guards(): { topic: string; partition: number; values: []; ifEnd: number }[] {
    const open = [...this.#partitions.values()].filter(({ limit }) => limit === null)
    const ends = open.map(({ topic, partition, next }) => ({ topic, partition, ifEnd: next }))
    const letters = { topic: deadTopic(this.#source), partition: 0, ifEnd: this.#nextLetter }
    return [...ends, letters].map((end) => ({ ...end, values: [] }))
  }

  /** What came since the last scan, by partition in offset order; the letters apart. */
  async scan(): Promise<{ partitions: BlockPiece[][]; letters: LetterPiece[] }> {
    const ends = await this.#settledEnds()
    const partitions: BlockPiece[][] = []
    for (const partition of this.#partitions.values())
      partitions.push(await this.#scanPartition(partition, ends.get(nameOf(partition)) ?? 0))
    return { partitions, letters: await this.#scanLetters(ends.get(deadTopic(this.#source)) ?? 0) }
  }

  /** Where everything ended at one moment: of every append either all or nothing is below, and what comes later has later sequences than its origin has here. */
  async #settledEnds(): Promise<ReadonlyMap<string, number>> {
    const limited = new Map<string, number>()
    const open: { readonly name: string; readonly topic: string; readonly partition: number }[] = []
    for (const { name: topic, partitions } of await this.#log.listTopics()) {
      const source = this.#sources.find((one) => isKeyedTopicOf(one, topic))
      if (source === undefined || topic === keyedTopic(this.#target)) continue
      for (let partition = 0; partition < partitions; partition++) {
        const name = nameOf({ topic, partition })
        const limit = this.#limits !== null && this.#isOther(source) ? (this.#limits[name] ?? 0) : null
        if (!this.#partitions.has(name))
          this.#partitions.set(name, { topic, partition, source, limit, filter: new OriginFilter(), next: 0 })
        if (limit === null) open.push({ name, topic, partition })
        else limited.set(name, limit)
      }
    }
    const letters = deadTopic(this.#source)
    if ((await this.#log.topic(letters)) !== null) open.push({ name: letters, topic: letters, partition: 0 })
    const ends = await this.#log.endOffsets(open)
    return new Map([...limited, ...open.map(({ name }, i) => [name, ends[i]] as const)])
  }

  async #scanPartition(from: DonorPartition, end: number): Promise<BlockPiece[]> {
    const { topic, partition, source } = from
    const pieces: BlockPiece[] = []
    while (from.next < end) {
      const records = await this.#log.read(topic, partition, from.next, FETCH_BYTES)
      if (records.length === 0) break
      for (const { offset, appendTime, value } of records) {
        if (offset >= end) break
        const at = scanRecord(from, offset, value)
        from.next = offset + 1
        if (at === null) continue
        if (!this.#isOther(source) || !this.#isReadAgain(at.origin, at.from))
          pieces.push({ kind: 'block', topic, partition, offset, source, appendTime, ...at })
      }
    }
    from.next = end
    return pieces
  }

  async #scanLetters(end: number): Promise<LetterPiece[]> {
    const pieces: LetterPiece[] = []
    if (end === 0) return pieces
    this.#outcomes = await LetterOutcomes.read(this.#log, this.#source)
    const from = { offset: this.#nextLetter, seen: this.#seenLetters }
    for await (const { letters } of readDeadLetters(this.#log, this.#source, from)) {
      for (const letter of letters) {
        if (letter.offset >= end || !isKeyless(letter) || !isOpen(this.#outcomes, letter)) continue
        const [offset, index] = letter.sequence
        const at = { offset, index }
        const { origin } = letter
        pieces.push({ kind: 'letter', letter, origin, from: at, to: at, rows: 1, appendTime: arrivalOf(letter) })
      }
    }
    this.#nextLetter = end
    return pieces
  }
}

/** Refused for its keys alone: it may have one of a further entity. */
function isKeyless({ code }: StoredLetter): boolean {
  return code === 'TM_EVENT_KEY_NULL' || code === 'TM_KEY_TOO_LONG'
}

/** Pending, or taken in by the fill of another keyed log alone. */
function isOpen(outcomes: LetterOutcomes, { offset }: StoredLetter): boolean {
  const outcome = outcomes.of(offset)
  return outcome === null || outcome === 'filled'
}

function scanRecord(
  { topic, partition, filter }: DonorPartition,
  offset: number,
  value: Uint8Array,
): { origin: string; first: number; rows: number; from: Sequence; to: Sequence } | null {
  const where = `${topic}/${partition}`
  const sequences = readSequences(value, `${where}, offset ${offset}`)
  const { origin, length, sequenceOffset, sequenceIndex } = sequences
  const first = filter.accept(sequences, where)
  if (first === length) return null
  const at = (row: number): Sequence => ({ offset: sequenceOffset[row], index: sequenceIndex[row] })
  return { origin, first, rows: length - first, from: at(first), to: at(length - 1) }
}

function readSequences(value: Uint8Array, where: string): ReturnType<typeof decodeKeyedSequences> {
  try {
    return decodeKeyedSequences(value)
  } catch (cause) {
    throw failStream('TM_BLOCK_UNREADABLE', `${where}: the block cannot be decoded: \`tidemark repair\` skips it`, {
      cause,
    })
  }
}

function isKeyedTopicOf(source: SourcePlan, topic: string): boolean {
  const prefix = keyedTopic(`${sourceLogName(source)}.`)
  // The logs of a later version have its number where an entity's name stands.
  return topic.startsWith(prefix) && !topic.includes('.', prefix.length)
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`
}

/** Whether a sequence lies above what an origin has reached. */
export function isAbove(
  highest: ReadonlyMap<string, Sequence>,
  origin: string,
  offset: number,
  index: number,
): boolean {
  const reached = highest.get(origin)
  return reached === undefined || isAfter(offset, index, reached)
}
