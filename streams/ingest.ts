import type { SourcePlan } from '../features/plan/source-plan.ts'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import { gather } from '../features/values/gather.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { LogRecord } from '../stores/log/log.ts'
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
import { keyedTopic, sourceTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 4 << 20

/** Durable position of ingest in one source partition. */
export interface IngestCheckpoint {
  readonly incarnation: string
  readonly nextOffset: number
  readonly lastSent: LastSent
}

interface Fetched {
  readonly origin: string
  readonly records: readonly LogRecord[]
  /** Advanced. */
  readonly lastSent: LastSent
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
    for (const source of await this.#context.registry.sources()) moved += await this.#ingest(source)
    return moved
  }

  async #ingest(source: SourcePlan): Promise<number> {
    const { log, metadata } = this.#context
    const { feeds, keyedLogs } = await openFeeds(this.#context, source, this.#feeds.get(source.name))
    this.#feeds.set(source.name, feeds)
    // What no view reads stays in the topic, for the first one that will.
    if (keyedLogs.length === 0) return 0
    const topic = await log.topic(sourceTopic(source.name))
    if (topic === null) return 0
    const held = await metadata.readProgress<IngestCheckpoint>('ingest', source.name)
    if (held !== null && held.incarnation !== topic.incarnation) {
      throw failStream(
        'TM_STREAM_GAP',
        `source ${source.name} was made anew (incarnation ${topic.incarnation}, ingest had read ${held.incarnation}): its checkpoint does not fit; use a fresh data folder or name the source anew`,
      )
    }
    const checkpoint = held ?? { incarnation: topic.incarnation, nextOffset: 0, lastSent: {} }
    const records = await log.read(topic.name, 0, checkpoint.nextOffset, FETCH_BYTES)
    if (records.length === 0) return 0
    const nextOffset = records[records.length - 1].offset + 1
    if ((await log.endOffset(topic.name, 0)) > nextOffset) this.#isBehind = true
    const lastSent = laterSent(checkpoint.lastSent, feeds.lastSent)
    const fetched = { origin: `${topic.incarnation}/0`, records, lastSent }
    const { events, blocks, letters } = this.#convert(source, keyedLogs, fetched)
    const all = [...blocks, ...deadLetterAppends(source.name, letters)]
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
    await metadata.writeProgress('ingest', source.name, { ...checkpoint, nextOffset, lastSent })
    return events
  }

  #convert(source: SourcePlan, keyedLogs: readonly KeyedLog[], fetched: Fetched): Converted {
    const { origin, records, lastSent } = fetched
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
        ...letterPayload(payload),
      }))
    const sequenceOffset = new Float64Array(rows.length)
    for (let i = 0; i < rows.length; i++) sequenceOffset[i] = records[recordOf[rows[i]]].offset
    const events = {
      origin,
      length: rows.length,
      sequenceOffset,
      sequenceIndex: gather(lineOf, rows, new Int32Array(rows.length)),
      eventTime,
      arrival: new Float64Array(rows.length).fill(NaN),
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
    const held = this.#decoders.get(source.name)
    const schema = canonicalJson([source.fields, source.eventTime])
    if (held?.schema === schema) return held.decoder
    const decoder = new RecordDecoder(source)
    this.#decoders.set(source.name, { schema, decoder })
    return decoder
  }
}
