import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { Log, LogRecord, TopicInfo, TopicPartition } from '../../stores/log/log.ts'
import type { Block, Sequence } from '../blocks/block.ts'
import { NO_SEQUENCE } from '../blocks/block.ts'
import { lastOutcome, LetterOutcomes } from '../dead-letters/dead-letter-outcomes.ts'
import { payloadOf, readDeadLetters } from '../dead-letters/dead-letters.ts'
import type { StoredLetter } from '../dead-letters/dead-letters.ts'
import { decodeEvents } from '../ingest/decode-events.ts'
import { createEventDecoder, recordBytes } from '../ingest/event-decoder.ts'
import type { EventDecoder } from '../ingest/event-decoder.ts'
import { readIngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import { appendTarget, pickEvents, repartition } from '../ingest/keyed-append.ts'
import type { LastSent, OriginEvents } from '../ingest/keyed-append.ts'
import { isAfter } from '../blocks/origin-filter.ts'
import { recordEvents } from '../ingest/record-events.ts'
import { blockWithoutEvents } from '../blocks/skipped-block.ts'
import { deadTopic, keyedTopic, sourceTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

const FETCH_BYTES = 4 << 20

/** Events after one sequence, up to another. */
export interface SequenceRange {
  readonly after: Sequence
  readonly until: Sequence
}

/** What sends the events of one origin to a keyed partition, and still has them. */
export interface Producer {
  readonly origin: string
  /** In words. */
  readonly name: string
  /** The last event that it sent to the partition; every later one follows this. */
  readonly lastSent: Sequence
  /** A block of its events without any. */
  readonly noEvents: Block
  /** Whether it has everything after a sequence. */
  holds(after: Sequence): boolean
  /** The partition's events of a range, in blocks made of about `bytes` of what was sent. */
  blocks(range: SequenceRange, bytes: number): AsyncIterable<Block>
}

/** The producers of a keyed partition that can be asked to send again: ingest of its source, and the replay of its dead letters. */
export async function producersOf(
  context: StreamContext,
  keyedLog: KeyedLog,
  partition: number,
): Promise<readonly Producer[]> {
  const place = { context, keyedLog, partition, keyedLogs: await keyedLogsOf(context, keyedLog.source) }
  const letters = await letterProducer(place)
  return [...(await sourceProducers(place)), ...(letters === null ? [] : [letters])]
}

interface Place {
  readonly context: StreamContext
  readonly keyedLog: KeyedLog
  readonly partition: number
  /** All of the source: which events have no key depends on them. */
  readonly keyedLogs: readonly KeyedLog[]
}

async function keyedLogsOf({ registry }: StreamContext, source: SourcePlan): Promise<KeyedLog[]> {
  return (await registry.keyedLogs()).filter((log) => sourceLogName(log.source) === sourceLogName(source))
}

/** One for each partition of the source's topic. */
async function sourceProducers(place: Place): Promise<Producer[]> {
  const topic = await place.context.log.topic(sourceTopic(place.context, place.keyedLog.source))
  const producers: Producer[] = []
  for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
    const producer = await sourceProducer(place, topic, partition)
    if (producer !== null) producers.push(producer)
  }
  return producers
}

async function sourceProducer(place: Place, topic: TopicInfo, partition: number): Promise<Producer | null> {
  const { log } = place.context
  const { source } = place.keyedLog
  const checkpoint = await readIngestCheckpoint(place.context, { source: sourceLogName(source), partition })
  if (checkpoint?.incarnation !== topic.incarnation) return null
  const origin = `${topic.incarnation}/${partition}`
  const start = await log.startOffset(topic.name, partition)
  const end = await log.endOffset(topic.name, partition)
  const from = { topic: topic.name, partition, incarnation: topic.incarnation }
  return {
    origin,
    name: topic.partitions === 1 ? `source ${source.name}` : `source ${source.name}, partition ${partition}`,
    lastSent: sentTo(place, checkpoint.lastSent),
    noEvents: blockWithoutEvents(origin, source.fields),
    holds: ({ offset }) => start <= Math.max(0, offset) && start < end,
    blocks: (range, bytes) => sourceBlocks({ ...place, historyEnd: checkpoint.historyEnd, from }, origin, range, bytes),
  }
}

/** `historyEnd`: see `IngestCheckpoint`. */
interface SourcePlace extends Place {
  readonly historyEnd: number
  readonly from: TopicPartition
}

async function* sourceBlocks(
  place: SourcePlace,
  origin: string,
  range: SequenceRange,
  bytesMax: number,
): AsyncIterable<Block> {
  const { log } = place.context
  const { source } = place.keyedLog
  const decoder = createEventDecoder(source, place.context.schemas ?? null)
  const making = { ...place, origin, range, decoder, refusedThen: await refusedThen(log, source) }
  let kept: LogRecord[] = []
  let bytes = 0
  for (let next = Math.max(0, range.after.offset); next <= range.until.offset;) {
    const { records, nextOffset } = await log.readOn(place.from, next, FETCH_BYTES)
    if (records.length === 0) break
    next = nextOffset
    const found = await blockOfRecords(making, records)
    if (found === null) continue
    const offsets = new Set(found.sequenceOffset)
    for (const record of records) {
      if (!offsets.has(record.offset)) continue
      kept.push(record)
      bytes += record.value.length
    }
    if (bytes < bytesMax) continue
    const block = await blockOfRecords(making, kept)
    if (block !== null) yield block
    kept = []
    bytes = 0
  }
  const block = kept.length === 0 ? null : await blockOfRecords(making, kept)
  if (block !== null) yield block
}

interface Remaking extends SourcePlace {
  readonly origin: string
  readonly range: SequenceRange
  readonly decoder: EventDecoder
  /** `<origin>/<offset>.<index>` of events that were refused when they were ingested for what may be otherwise now: the limit of a message, or what the schema registry has. */
  readonly refusedThen: ReadonlySet<string>
}

const PASSING = new Set(['TM_EVENT_TOO_LARGE', 'TM_SCHEMA_UNKNOWN', 'TM_SCHEMA_INVALID'])

async function refusedThen(log: Log, source: SourcePlan): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  if ((await log.topic(deadTopic(sourceLogName(source)))) === null) return found
  for await (const { letters } of readDeadLetters(log, sourceLogName(source)))
    for (const { code, origin, sequence } of letters)
      if (PASSING.has(code)) found.add(`${origin}/${sequence.join('.')}`)
  return found
}

/** The partition's events of a range among these records, as ingest made them. */
async function blockOfRecords(making: Remaking, records: readonly LogRecord[]): Promise<Block | null> {
  const { origin, range, decoder, historyEnd } = making
  const { source } = making.keyedLog
  const entities = making.keyedLogs.map(({ entity }) => entity)
  const rules = { source, entities, messageBytesMax: Infinity }
  await decoder.prepare(records.map((record) => recordBytes(source, record)))
  const { events } = recordEvents({ ...rules, decoder, origin, records, historyEnd })
  const isTaken = (row: number): boolean =>
    !making.refusedThen.has(`${origin}/${events.sequenceOffset[row]}.${events.sequenceIndex[row]}`)
  const taken = making.refusedThen.size === 0 ? events : pickEvents(events, rowsWhere(events.length, isTaken))
  return blockOf(making, taken, range)
}

async function letterProducer(place: Place): Promise<Producer | null> {
  const { log } = place.context
  const { source } = place.keyedLog
  const topic = await log.topic(deadTopic(sourceLogName(source)))
  if (topic === null) return null
  const origin = `${topic.incarnation}/0`
  return {
    origin,
    name: `replayed dead letters of ${source.name}`,
    lastSent: sentTo(place, (await lastOutcome(log, sourceLogName(source))).lastSent),
    noEvents: blockWithoutEvents(origin, source.fields),
    holds: () => true,
    blocks: (range, bytes) => letterBlocks(place, origin, range, bytes),
  }
}

async function* letterBlocks(
  place: Place,
  origin: string,
  range: SequenceRange,
  bytesMax: number,
): AsyncIterable<Block> {
  const { log } = place.context
  const { source } = place.keyedLog
  const outcomes = await LetterOutcomes.read(log, sourceLogName(source))
  let kept: StoredLetter[] = []
  let bytes = 0
  for await (const { letters } of readDeadLetters(log, sourceLogName(source))) {
    for (const letter of letters) {
      if (outcomes.of(letter.offset) !== 'replayed' || !isWithin(letter.offset, 0, range)) continue
      kept.push(letter)
      bytes += letter.payload.length
    }
    if (bytes < bytesMax) continue
    const block = blockOf(place, await letterEvents(place, origin, kept), range)
    if (block !== null) yield block
    kept = []
    bytes = 0
  }
  const block = kept.length === 0 ? null : blockOf(place, await letterEvents(place, origin, kept), range)
  if (block !== null) yield block
}

/** As a replay decodes them. */
async function letterEvents(
  { context, keyedLog, keyedLogs }: Place,
  origin: string,
  letters: readonly StoredLetter[],
): Promise<OriginEvents> {
  const entities = keyedLogs.map(({ entity }) => entity)
  const rules = { source: keyedLog.source, entities }
  const { rows, columns, eventTime } = await decodeEvents(rules, letters.map(payloadOf), context.schemas)
  return {
    origin,
    length: rows.length,
    sequenceOffset: Float64Array.from(rows, (row) => letters[row].offset),
    sequenceIndex: new Int32Array(rows.length),
    eventTime,
    arrival: new Float64Array(rows.length).fill(NaN),
    columns,
  }
}

/** The partition's events of a range as one block; null: there are none. */
function blockOf({ context, keyedLog, partition }: Place, events: OriginEvents, range: SequenceRange): Block | null {
  const rows = rowsWhere(events.length, (i) => isWithin(events.sequenceOffset[i], events.sequenceIndex[i], range))
  const target = { ...appendTarget(context, keyedLog), messageBytesMax: Infinity }
  const appends = repartition(target, pickEvents(events, rows), {})
  return appends.find((append) => append.partition === partition)?.block ?? null
}

function rowsWhere(length: number, picks: (row: number) => boolean): Int32Array {
  return Int32Array.from({ length }, (_, row) => row).filter(picks)
}

function isWithin(offset: number, index: number, { after, until }: SequenceRange): boolean {
  return isAfter(offset, index, after) && !isAfter(offset, index, until)
}

function sentTo({ keyedLog, partition }: Place, lastSent: LastSent): Sequence {
  return lastSent[`${keyedTopic(keyedLog.name)}/${partition}`] ?? NO_SEQUENCE
}
