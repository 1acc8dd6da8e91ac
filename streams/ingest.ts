import { sourceLogName } from '../features/plan/source-plan.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import { gather } from '../features/values/gather.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { LogRecord, TopicInfo } from '../stores/log/log.ts'
import { deadLetterAppends, letterPayload } from './dead-letters.ts'
import type { DeadLetter } from './dead-letters.ts'
import { rowsWithKeys } from './decode-events.ts'
import { RecordDecoder } from './decode-records.ts'
import { failStream } from './errors.ts'
import { splitLines } from './event-lines.ts'
import { laterSent, repartition } from './keyed-append.ts'
import type { BlockAppend, LastSent } from './keyed-append.ts'
import type { RecentBlocks } from './recent-blocks.ts'
import { isConflict, openFeeds } from './source-feeds.ts'
import type { SourceFeeds } from './source-feeds.ts'
import { keyedTopic, sourceTopic, usedSources } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 4 << 20

/** Durable position of ingest in one source partition. */
export interface IngestCheckpoint {
  readonly incarnation: string
  readonly nextOffset: number
  readonly lastSent: LastSent
  /** Records below are the history of a later source version: their events arrived when they were appended to the source's topic. */
  readonly historyEnd: number
  /** Of a source version that takes over what others have: it is not fed yet, and its ingest will begin here. */
  readonly isTakingOver?: true
}

/** Whether ingest has read what was in a source's topic when this version of it began to be fed. */
export async function isHistoryRead({ log, metadata }: StreamContext, source: SourcePlan): Promise<boolean> {
  const held = await metadata.readProgress<IngestCheckpoint>('ingest', sourceLogName(source))
  if (held !== null) return held.nextOffset >= held.historyEnd
  if ((source.version ?? 1) === 1 || (await log.topic(sourceTopic(source.name))) === null) return true
  return (await log.endOffset(sourceTopic(source.name), 0)) === 0
}

interface Fetched {
  readonly origin: string
  readonly records: readonly LogRecord[]
  /** Advanced. */
  readonly lastSent: LastSent
  readonly historyEnd: number
}

interface Converted {
  /** Accepted or refused. */
  readonly events: number
  readonly blocks: readonly BlockAppend[]
  readonly letters: readonly DeadLetter[]
}

/** Source partitions → keyed logs: decode, validate, dead-letter, repartition into blocks. */
export class IngestRole {
  readonly #context: StreamContext
  readonly #recent: RecentBlocks | null
  readonly #feeds = new Map<string, SourceFeeds>()
  readonly #decoders = new Map<string, { readonly schema: string; readonly decoder: RecordDecoder }>()
  #isBehind = false

  /** `recent` is told of every block appended. */
  constructor(context: StreamContext, recent: RecentBlocks | null = null) {
    this.#context = context
    this.#recent = recent
  }

  /** Whether the last fetch left records of some source unread. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** One fetch of every source. Returns how many events were taken in (accepted or refused). */
  async runOnce(): Promise<number> {
    let moved = 0
    this.#isBehind = false
    for (const source of await usedSources(this.#context)) moved += await this.#ingest(source)
    return moved
  }

  async #ingest(source: SourcePlan): Promise<number> {
    const { log, metadata } = this.#context
    const name = sourceLogName(source)
    const { feeds, keyedLogs } = await openFeeds(this.#context, source, this.#feeds.get(name))
    this.#feeds.set(name, feeds)
    // What no view reads stays in the topic, for the first one that will.
    if (keyedLogs.length === 0) return 0
    const topic = await log.topic(sourceTopic(source.name))
    if (topic === null) return 0
    const held = await metadata.readProgress<IngestCheckpoint>('ingest', name)
    if (held !== null && held.incarnation !== topic.incarnation) {
      throw failStream(
        'TM_STREAM_GAP',
        `source ${source.name} was made anew (incarnation ${topic.incarnation}, ingest had read ${held.incarnation}): its checkpoint does not fit; use a fresh data folder or name the source anew`,
      )
    }
    const checkpoint = held ?? (await this.#begin(source, topic))
    const records = await log.read(topic.name, 0, checkpoint.nextOffset, FETCH_BYTES)
    if (records.length === 0) return 0
    const nextOffset = records[records.length - 1].offset + 1
    if ((await log.endOffset(topic.name, 0)) > nextOffset) this.#isBehind = true
    const lastSent = laterSent(checkpoint.lastSent, feeds.lastSent)
    const { historyEnd } = checkpoint
    const fetched = { origin: `${topic.incarnation}/0`, records, lastSent, historyEnd }
    const { events, blocks, letters } = this.#convert(source, keyedLogs, fetched)
    const all = [...blocks, ...deadLetterAppends(name, letters)]
    if (all.length > 0) {
      try {
        const results = await log.appendAll([...all, feeds.guard])
        this.#recent?.add(blocks, results)
      } catch (error) {
        if (!isConflict(error)) throw error
        // The feeds changed since: the next round reads them.
        return 1
      }
    }
    const { incarnation } = checkpoint
    await metadata.writeProgress('ingest', name, {
      incarnation,
      nextOffset,
      lastSent,
      historyEnd,
    } satisfies IngestCheckpoint)
    return events
  }

  /** A later version of a source reads the topic from its beginning: that is the history that it has. */
  async #begin({ version = 1 }: SourcePlan, topic: TopicInfo): Promise<IngestCheckpoint> {
    const historyEnd = version === 1 ? 0 : await this.#context.log.endOffset(topic.name, 0)
    return { incarnation: topic.incarnation, nextOffset: 0, lastSent: {}, historyEnd }
  }

  #convert(source: SourcePlan, keyedLogs: readonly KeyedLog[], fetched: Fetched): Converted {
    const { origin, records, lastSent, historyEnd } = fetched
    const decoded = this.#decoder(source).decode(records.map(({ value }) => value))
    const { recordOf, lineOf } = decoded
    const entities = keyedLogs.map(({ entity }) => entity)
    const all = { ...decoded, rows: Int32Array.from(recordOf.keys()) }
    const { rows, columns, eventTime, keyless } = rowsWithKeys(source, entities, all)
    const refused = [...decoded.refused]
    for (const { row, ...refusal } of keyless) {
      const payload = splitLines(records[recordOf[row]].value)[lineOf[row]]
      refused.push({ ...refusal, record: recordOf[row], line: lineOf[row], payload })
    }
    const letters: DeadLetter[] = refused
      .sort((a, b) => a.record - b.record || a.line - b.line)
      .map(({ code, reason, record, line, payload }) => ({
        code,
        reason,
        origin,
        sequence: [records[record].offset, line],
        ...(records[record].offset < historyEnd ? { arrivedAt: records[record].appendTime } : {}),
        ...letterPayload(payload),
      }))
    const sequenceOffset = new Float64Array(rows.length)
    const arrival = new Float64Array(rows.length).fill(NaN)
    for (let i = 0; i < rows.length; i++) {
      const { offset, appendTime } = records[recordOf[rows[i]]]
      sequenceOffset[i] = offset
      if (offset < historyEnd) arrival[i] = appendTime
    }
    const events = {
      origin,
      length: rows.length,
      sequenceOffset,
      sequenceIndex: gather(lineOf, rows, new Int32Array(rows.length)),
      eventTime,
      arrival,
      columns,
    }
    const { buckets, partitions } = this.#context
    const blocks = keyedLogs.flatMap(({ name, entity }) =>
      repartition({ topic: keyedTopic(name), source, entity, buckets, partitions }, events, lastSent),
    )
    return { events: rows.length + refused.length, blocks, letters }
  }

  /** Kept, with the texts that it knows, as long as the source's schema is the same. */
  #decoder(source: SourcePlan): RecordDecoder {
    const held = this.#decoders.get(sourceLogName(source))
    const schema = canonicalJson([source.fields, source.eventTime])
    if (held?.schema === schema) return held.decoder
    const decoder = new RecordDecoder(source)
    this.#decoders.set(sourceLogName(source), { schema, decoder })
    return decoder
  }
}
