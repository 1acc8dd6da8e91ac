import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { LogRecord, TopicAppend } from '../stores/log/log.ts'
import { deadLetterAppends, letterPayload } from './dead-letters.ts'
import type { DeadLetter } from './dead-letters.ts'
import { decodeEvents } from './decode-events.ts'
import { failStream } from './errors.ts'
import { splitLines } from './event-lines.ts'
import type { EventLine } from './event-lines.ts'
import { repartition } from './keyed-append.ts'
import type { LastSent } from './keyed-append.ts'
import { keyedTopic, sourceTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

const FETCH_BYTES = 4 << 20

/** Durable position of ingest in one source partition. */
export interface IngestCheckpoint {
  readonly incarnation: string
  readonly nextOffset: number
  readonly lastSent: LastSent
}

/** Source partitions → keyed logs: decode, validate, dead-letter, repartition into blocks. */
export class IngestRole {
  readonly #context: StreamContext
  #isBehind = false

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** Whether the last fetch left records of some source unread. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** One fetch of every source. Returns how many events were taken in (accepted or refused). */
  async runOnce(): Promise<number> {
    const keyedLogs = await this.#context.registry.keyedLogs()
    let moved = 0
    this.#isBehind = false
    for (const source of await this.#context.registry.sources()) {
      moved += await this.#ingest(
        source,
        keyedLogs.filter((log) => log.source.name === source.name),
      )
    }
    return moved
  }

  async #ingest(source: SourcePlan, keyedLogs: readonly KeyedLog[]): Promise<number> {
    // What no view reads stays in the topic, for the first one that will.
    if (keyedLogs.length === 0) return 0
    const { log, metadata } = this.#context
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
    const lastSent = { ...checkpoint.lastSent }
    const { events, appends, letters } = this.#convert(source, keyedLogs, `${topic.incarnation}/0`, records, lastSent)
    const all = [...deadLetterAppends(source.name, letters), ...appends]
    if (all.length > 0) await log.appendAll(all)
    await metadata.writeProgress('ingest', source.name, { ...checkpoint, nextOffset, lastSent })
    return events
  }

  #convert(
    source: SourcePlan,
    keyedLogs: readonly KeyedLog[],
    origin: string,
    records: readonly LogRecord[],
    lastSent: LastSent,
  ) {
    const payloads: EventLine[] = []
    const offsets: number[] = []
    const indexes: number[] = []
    for (const record of records) {
      const lines = splitLines(record.value)
      for (let index = 0; index < lines.length; index++) {
        // A blank line is no event, as in `produce`: a record that ends with a line break has no dead letter for it.
        if (isBlank(lines[index])) continue
        payloads.push(lines[index])
        offsets.push(record.offset)
        indexes.push(index)
      }
    }
    const decoded = decodeEvents(
      source,
      keyedLogs.map(({ entity }) => entity),
      payloads,
    )
    const letters: DeadLetter[] = decoded.refused.map(({ row, code, reason }) => ({
      code,
      reason,
      origin,
      sequence: [offsets[row], indexes[row]],
      ...letterPayload(payloads[row]),
    }))
    const { rows, columns, eventTime } = decoded
    const events = {
      origin,
      length: rows.length,
      sequenceOffset: Float64Array.from(rows, (row) => offsets[row]),
      sequenceIndex: rows.map((row) => indexes[row]),
      eventTime,
      arrival: new Float64Array(rows.length).fill(NaN),
      columns,
    }
    const { buckets, partitions } = this.#context
    const appends: TopicAppend[] = keyedLogs.flatMap((keyedLog) =>
      repartition(
        { topic: keyedTopic(keyedLog.name), source, entity: keyedLog.entity, buckets, partitions },
        events,
        lastSent,
      ),
    )
    return { events: payloads.length, appends, letters }
  }
}

function isBlank(line: EventLine): boolean {
  if (typeof line !== 'string') return false
  return line.length === 0 || (line.charCodeAt(0) <= 32 && line.trim() === '')
}
