import { concatColumns } from '../../features/values/concat-columns.ts'
import { gather, gatherColumn } from '../../features/values/gather.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { AppendResult, TopicAppend } from '../../stores/log/log.ts'
import type { Sequence } from '../blocks/block.ts'
import { payloadOf, arrivalOf } from '../dead-letters/dead-letters.ts'
import type { StoredLetter } from '../dead-letters/dead-letters.ts'
import { readBlock } from '../blocks/keyed-reader.ts'
import { decodePayloads } from '../ingest/event-decoder.ts'
import { orderPieces } from './donor-order.ts'
import type { PieceGroup } from './donor-order.ts'
import { DonorPieces, isAbove } from './donor-pieces.ts'
import type { BlockPiece, DonorPiece, Donors, LetterPiece } from './donor-pieces.ts'
import { appendTarget, pickEvents, repartition, rowsWithoutKey } from '../ingest/keyed-append.ts'
import type { LastSent, OriginEvents } from '../ingest/keyed-append.ts'
import { OriginFilter } from '../blocks/origin-filter.ts'
import { isConflict, otherDonors } from './source-feeds.ts'
import { beginTakeOver, columnsAs, endTakeOver } from './take-over.ts'
import type { SourceFeeds } from './source-feeds.ts'
import { keyedTopic, sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { decodeKeyedSequences } from '../blocks/thinned-block.ts'

const FETCH_BYTES = 4 << 20
/** Events read in one step, about. */
const STEP_EVENTS = 50_000

/** Of a version that had its first events from its own producers. */
const NOTHING_TAKEN_OVER = { incarnation: '', before: [] }

/** Progress scope `fill`, by keyed log: for people alone, the log itself says how far a fill is. */
export interface FillProgress {
  /** Of the source's events that are in other keyed logs. */
  readonly events: number
  readonly eventsTotal: number
  /** Left out: they have no key of this entity, or too long a one. */
  readonly keyless: number
}

/**
 * Fills a keyed log that a source was not keyed by before with the source's history: every event that its other keyed logs hold, and those that none of
 * them had a key for, keyed anew, with its origin, sequence and arrival. Per origin, events go in the order of their sequences; so the filled log itself
 * says how far the fill is, and killed anywhere it goes on there. The last step hands over to the producers, in one change with the proof that nothing was
 * appended meanwhile.
 */
export class KeyedLogFill {
  readonly #context: StreamContext
  readonly #keyedLog: KeyedLog
  readonly #donors: DonorPieces
  /** Everything of an origin up to here is in the log, if it has a key. */
  readonly #done = new Map<string, Sequence>()
  readonly #lastSent = new Map<string, LastSent>()
  readonly #ends: number[] = []
  #groups: PieceGroup<DonorPiece>[] = []
  #next = 0
  #events = 0
  #eventsTotal = 0
  #keyless = 0

  private constructor(context: StreamContext, keyedLog: KeyedLog, donors: Omit<Donors, 'source' | 'target'>) {
    this.#context = context
    this.#keyedLog = keyedLog
    this.#donors = new DonorPieces(context.log, { source: keyedLog.source, target: keyedLog.name, ...donors })
  }

  /** While no log of the source is fed, it takes over what compatible versions of it have; later what it took over then. */
  static async open(context: StreamContext, keyedLog: KeyedLog, feeds: SourceFeeds): Promise<KeyedLogFill> {
    const others = await otherDonors(context, keyedLog.source)
    const { takenOver } = feeds
    const from =
      feeds.fed.length > 0
        ? { ...(takenOver ?? NOTHING_TAKEN_OVER), limits: takenOver?.ends ?? {} }
        : { ...(await beginTakeOver(context, keyedLog.source, others)), limits: null }
    const fill = new KeyedLogFill(context, keyedLog, { others, ...from })
    await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
    for (let partition = 0; partition < context.partitions; partition++) await fill.#learn(partition)
    return fill
  }

  /** Some more events, or the hand-over. Returns how many were read; null: producers append to the log now. TM_LOG_CONFLICT: open the fill anew. */
  async step(feeds: SourceFeeds): Promise<number | null> {
    if (this.#next === this.#groups.length && !(await this.#scan())) return (await this.#handOver(feeds)) ? null : 0
    const appends: TopicAppend[] = []
    const letters: StoredLetter[] = []
    let events = 0
    while (this.#next < this.#groups.length && events < STEP_EVENTS) {
      const group = await this.#read(this.#groups[this.#next++])
      events += group.rows
      appends.push(...this.#blocks(group.events))
      letters.push(...group.letters)
    }
    this.#events += events
    const { outcomes } = this.#donors
    const others = [...appends, ...this.#guards()]
    let results: readonly AppendResult[] = []
    if (letters.length > 0 && outcomes !== null)
      results = await outcomes.append(this.#context.log, 'filled', letters, { others })
    else if (appends.length > 0) results = await this.#context.log.appendAll(others)
    for (const [i, { partition, values }] of appends.entries())
      this.#ends[partition] = results[i].baseOffset + values.length
    await this.#tell()
    return events
  }

  /** What stands in the log: it was filled, or fed, before. */
  async #learn(partition: number): Promise<void> {
    const topic = keyedTopic(this.#keyedLog.name)
    const filter = new OriginFilter()
    let next = 0
    for (;;) {
      const records = await this.#context.log.read(topic, partition, next, FETCH_BYTES)
      if (records.length === 0) break
      for (const { value, offset } of records) {
        filter.accept(decodeKeyedSequences(value), `${topic}/${partition}`)
        next = offset + 1
      }
    }
    this.#ends[partition] = next
    for (const [origin, sequence] of filter.highest) {
      this.#sentOf(origin)[`${topic}/${partition}`] = sequence
      if (isAbove(this.#done, origin, sequence.offset, sequence.index)) this.#done.set(origin, sequence)
    }
  }

  /** Looks for what the other logs hold beyond what was read. Returns whether there is something. */
  async #scan(): Promise<boolean> {
    const { partitions, letters } = await this.#donors.scan()
    const isNew = ({ origin, to }: DonorPiece): boolean => isAbove(this.#done, origin, to.offset, to.index)
    const groups = orderPieces<DonorPiece>(
      partitions.map((pieces) => pieces.filter(isNew)),
      letters.filter(isNew),
    )
    this.#groups = groups
    this.#next = 0
    this.#eventsTotal += rowsOf(partitions.flat()) + letters.length
    this.#events = this.#eventsTotal - groups.reduce((sum, { pieces }) => sum + rowsOf(pieces), 0)
    return groups.length > 0
  }

  /** The events of a group above what was sent of its origin, each once, in the order of their sequences. */
  async #read({ origin, pieces }: PieceGroup<DonorPiece>): Promise<{
    rows: number
    events: OriginEvents
    letters: StoredLetter[]
  }> {
    const parts: OriginEvents[] = []
    for (const piece of pieces) if (piece.kind === 'block') parts.push(await this.#readBlock(piece))
    const own = await this.#readLetters(
      origin,
      pieces.flatMap((piece) => (piece.kind === 'letter' ? [piece] : [])),
    )
    parts.push(own.events)
    const events = this.#merge(origin, parts)
    return { rows: rowsOf(pieces), events, letters: own.letters }
  }

  async #readBlock({ topic, partition, offset, first, source }: BlockPiece): Promise<OriginEvents> {
    const [record] = await this.#context.log.read(topic, partition, offset, 1)
    const block = readBlock(record, source.fields, `${topic}/${partition}`)
    const rows = Int32Array.from({ length: block.length - first }, (_, i) => first + i)
    const events = pickEvents({ ...block, columns: columnsAs(this.#keyedLog.source, source, block) }, rows)
    return { ...events, arrival: events.arrival.map((time) => (Number.isNaN(time) ? record.appendTime : time)) }
  }

  /** Letters that have a key of this entity, and are good events otherwise. */
  async #readLetters(
    origin: string,
    pieces: readonly LetterPiece[],
  ): Promise<{ events: OriginEvents; letters: StoredLetter[] }> {
    const { source, entity } = this.#keyedLog
    const decoded = await decodePayloads(
      source,
      pieces.map(({ letter }) => payloadOf(letter)),
      this.#context.schemas ?? null,
    )
    const keyless = rowsWithoutKey(source, [entity], decoded.columns, decoded.rows.length)
    const keep = Int32Array.from(decoded.rows.keys()).filter((row) => !keyless.has(row))
    const taken = Array.from(keep, (row) => pieces[decoded.rows[row]].letter)
    const columns = decoded.columns.map((column) => gatherColumn(column, keep))
    const arrival = importArrival(origin)
    const known = arrival === null ? null : columns[source.fields.findIndex(({ name }) => name === arrival)]
    const events = {
      origin,
      length: keep.length,
      sequenceOffset: Float64Array.from(taken, ({ sequence }) => sequence[0]),
      sequenceIndex: Int32Array.from(taken, ({ sequence }) => sequence[1]),
      eventTime: gather(decoded.eventTime, keep, new Float64Array(keep.length)),
      arrival: known?.storage === 'number' ? known.values : Float64Array.from(taken, arrivalOf),
      columns,
    }
    return { events, letters: taken }
  }

  #merge(origin: string, parts: readonly OriginEvents[]): OriginEvents {
    const some = parts.filter(({ length }) => length > 0)
    if (some.length === 0) return parts[0]
    const sequenceOffset = concat(some.map((part) => part.sequenceOffset))
    const sequenceIndex = Int32Array.from(some.flatMap((part) => Array.from(part.sequenceIndex)))
    const rows = Int32Array.from(sequenceOffset.keys())
      .filter((row) => isAbove(this.#done, origin, sequenceOffset[row], sequenceIndex[row]))
      .sort((a, b) => sequenceOffset[a] - sequenceOffset[b] || sequenceIndex[a] - sequenceIndex[b])
      .filter(
        (row, i, sorted) =>
          i === 0 ||
          sequenceOffset[row] !== sequenceOffset[sorted[i - 1]] ||
          sequenceIndex[row] !== sequenceIndex[sorted[i - 1]],
      )
    const lengths = some.map(({ length }) => length)
    const all = {
      origin,
      length: sequenceOffset.length,
      sequenceOffset,
      sequenceIndex,
      eventTime: concat(some.map((part) => part.eventTime)),
      arrival: concat(some.map((part) => part.arrival)),
      columns: some[0].columns.map((_, c) =>
        concatColumns(
          some.map((part) => part.columns[c]),
          lengths,
        ),
      ),
    }
    return pickEvents(all, rows)
  }

  /** Blocks of events with a key, and `#done` advanced over all of them. */
  #blocks(events: OriginEvents): TopicAppend[] {
    if (events.length === 0) return []
    const { source, entity } = this.#keyedLog
    const { origin, length } = events
    this.#done.set(origin, { offset: events.sequenceOffset[length - 1], index: events.sequenceIndex[length - 1] })
    const keyless = rowsWithoutKey(source, [entity], events.columns, length)
    this.#keyless += keyless.size
    const keep = Int32Array.from(events.sequenceOffset.keys()).filter((row) => !keyless.has(row))
    const target = appendTarget(this.#context, this.#keyedLog)
    return repartition(target, keep.length === length ? events : pickEvents(events, keep), this.#sentOf(origin))
  }

  /** In one change: the log is fed from now on, nothing was appended to any other since it was read, and nobody else fills. Returns whether it was so. */
  async #handOver(feeds: SourceFeeds): Promise<boolean> {
    const { log } = this.#context
    const { name, source } = this.#keyedLog
    const topic = await log.topic(sourceTopic(this.#context, source))
    const ofTopic = [...this.#lastSent].filter(([origin]) => origin.startsWith(`${topic?.incarnation ?? ''}/`))
    const lastSent = Object.fromEntries(ofTopic.map(([origin, sent]) => [origin, { ...sent }]))
    const begins = feeds.fed.length === 0
    const takenOver = begins ? { takenOver: this.#donors.takenOver } : {}
    const change = feeds.change([{ keyedLog: name, fed: true, lastSent, ...takenOver }])
    if (begins) await endTakeOver(this.#context, source)
    try {
      await log.appendAll([...this.#donors.guards, ...this.#guards(), change])
    } catch (error) {
      // Producers appended meanwhile, and the fill reads on; or another fills the log too, which only opening anew can tell.
      if (!isConflict(error) || !(await this.#isAlone())) throw error
      return false
    }
    await this.#tell()
    return true
  }

  async #isAlone(): Promise<boolean> {
    const topic = keyedTopic(this.#keyedLog.name)
    const ends = await Promise.all(
      this.#ends.map(async (_, partition) => this.#context.log.endOffset(topic, partition)),
    )
    return ends.every((end, partition) => end === this.#ends[partition])
  }

  #guards(): TopicAppend[] {
    const topic = keyedTopic(this.#keyedLog.name)
    return this.#ends.map((ifEnd, partition) => ({ topic, partition, values: [], ifEnd }))
  }

  #sentOf(origin: string): LastSent {
    const sent = this.#lastSent.get(origin) ?? {}
    this.#lastSent.set(origin, sent)
    return sent
  }

  async #tell(): Promise<void> {
    const progress = { events: this.#events, eventsTotal: this.#eventsTotal, keyless: this.#keyless }
    await this.#context.metadata.writeProgress('fill', this.#keyedLog.name, progress satisfies FillProgress)
  }
}

function rowsOf(pieces: readonly DonorPiece[]): number {
  return pieces.reduce((sum, { rows }) => sum + rows, 0)
}

/** The column that an imported row says its arrival in; null: it arrived when it was appended. */
function importArrival(origin: string): string | null {
  const [kind, , column] = origin.split('/')
  return kind === 'import' ? column : null
}

function concat(arrays: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(arrays.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const array of arrays) {
    all.set(array, at)
    at += array.length
  }
  return all
}
