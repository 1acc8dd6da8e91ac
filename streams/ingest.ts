import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { KeyedLog } from '../registry/keyed-logs.ts'
import type { LogRecord, TopicAppend } from '../stores/log/log.ts'
import { gather, gatherColumn } from '../features/values/gather.ts'
import { appendDeadLetters } from './dead-letters.ts'
import type { DeadLetter } from './dead-letters.ts'
import { decodeJson } from './decode-json.ts'
import { failStream } from './errors.ts'
import { repartition, rowsWithNullKey } from './keyed-append.ts'
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

const decoder = new TextDecoder()

/** Source partitions → keyed logs: decode, validate, dead-letter, repartition into blocks. */
export class IngestRole {
  readonly #context: StreamContext

  constructor(context: StreamContext) {
    this.#context = context
  }

  /** One fetch of every source. Returns how many events were taken in (accepted or refused). */
  async runOnce(): Promise<number> {
    const keyedLogs = await this.#context.registry.keyedLogs()
    let moved = 0
    for (const source of await this.#context.registry.sources()) {
      moved += await this.#ingest(
        source,
        keyedLogs.filter((log) => log.source.name === source.name),
      )
    }
    return moved
  }

  async #ingest(source: SourcePlan, keyedLogs: readonly KeyedLog[]): Promise<number> {
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
    const lastSent = { ...checkpoint.lastSent }
    const { events, appends, letters } = this.#convert(source, keyedLogs, `${topic.incarnation}/0`, records, lastSent)
    await appendDeadLetters(log, source.name, letters)
    if (appends.length > 0) await log.appendAll(appends)
    await metadata.writeProgress('ingest', source.name, {
      ...checkpoint,
      nextOffset: records[records.length - 1].offset + 1,
      lastSent,
    })
    return events
  }

  #convert(
    source: SourcePlan,
    keyedLogs: readonly KeyedLog[],
    origin: string,
    records: readonly LogRecord[],
    lastSent: LastSent,
  ) {
    const payloads: string[] = []
    const places: [number, number][] = []
    for (const record of records) {
      decoder
        .decode(record.value)
        .split('\n')
        .forEach((line, index) => {
          payloads.push(line)
          places.push([record.offset, index])
        })
    }
    const decoded = decodeJson(source, payloads)
    const letters: DeadLetter[] = decoded.refused.map(({ row, code, reason }) => ({
      code,
      reason,
      origin,
      sequence: places[row],
      payload: payloads[row],
    }))
    const nullKeys = rowsWithNullKey(
      source,
      keyedLogs.map(({ entity }) => entity),
      decoded.columns,
      decoded.rows.length,
    )
    for (const i of nullKeys) {
      const row = decoded.rows[i]
      letters.push({
        code: 'TM_EVENT_KEY_NULL',
        reason: 'a column of an entity key is null',
        origin,
        sequence: places[row],
        payload: payloads[row],
      })
    }
    const keep = Int32Array.from(decoded.rows.keys()).filter((i) => !nullKeys.has(i))
    const events = {
      origin,
      length: keep.length,
      sequenceOffset: Float64Array.from(keep, (i) => places[decoded.rows[i]][0]),
      sequenceIndex: Int32Array.from(keep, (i) => places[decoded.rows[i]][1]),
      eventTime: gather(decoded.eventTime, keep, new Float64Array(keep.length)),
      arrival: new Float64Array(keep.length).fill(NaN),
      columns: decoded.columns.map((column) => gatherColumn(column, keep)),
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
