import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { canonicalJson } from '../../features/plan/canonical-json.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { LogRecord, TopicInfo } from '../../stores/log/log.ts'
import { BackPressure } from './back-pressure.ts'
import { deadLetterAppends, letterPayload } from '../dead-letters/dead-letters.ts'
import type { DeadLetter } from '../dead-letters/dead-letters.ts'
import { RecordDecoder } from './decode-records.ts'
import { failStream } from '../errors.ts'
import { publishHeldBack, readHeldBack } from './held-back.ts'
import type { HeldBack } from './held-back.ts'
import { appendIngested, readIngestCheckpoint } from './ingest-checkpoint.ts'
import type { IngestCheckpoint } from './ingest-checkpoint.ts'
import { appendTarget, laterSent, repartition } from './keyed-append.ts'
import type { BlockAppend, LastSent } from './keyed-append.ts'
import { recordEvents } from './record-events.ts'
import type { RecentBlocks } from '../blocks/recent-blocks.ts'
import { isConflict, openFeeds } from '../feeds/source-feeds.ts'
import type { SourceFeeds } from '../feeds/source-feeds.ts'
import { keepRules, rulesAt } from '../feeds/take-over-rules.ts'
import { limitsOf, sourceTopic, usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** No more than what may lie behind apply and archive, where that is less. */
const FETCH_BYTES = 4 << 20

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
  /** Source partitions that stopped, with the cause, by name. */
  readonly #stopped = new Map<string, TidemarkError>()
  readonly #pressure: BackPressure
  /** Sources whose ingest waits; null: what was published of another process is not known. */
  #held: Map<string, HeldBack> | null = null
  #isBehind = false

  /** `recent` is told of every block appended. */
  constructor(
    context: StreamContext,
    recent: RecentBlocks | null = null,
    pressure: BackPressure = new BackPressure(context),
  ) {
    this.#context = context
    this.#recent = recent
    this.#pressure = pressure
  }

  /** Whether the last fetch left records of some source unread. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** Whether the ingest of some source waits for apply or archive (see `BackPressure`). */
  get isHeldBack(): boolean {
    return this.#held !== null && this.#held.size > 0
  }

  /** One fetch of every source that is not held back. Returns how many events were taken in (accepted or refused). */
  async runOnce(): Promise<number> {
    let moved = 0
    this.#isBehind = false
    for (const source of await usedSources(this.#context)) {
      const name = sourceLogName(source)
      if (this.#stopped.has(`source.${name}/0`)) continue
      try {
        moved += await this.#ingest(source)
      } catch (error) {
        if (!isTidemarkError(error) || error.code !== 'TM_SOURCE_TRUNCATED') throw error
        this.#stopped.set(`source.${name}/0`, error)
      }
    }
    return moved
  }

  /** Source partitions (`source.<name>/<number>`) that stopped for good, each with its cause; all others go on. */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return this.#stopped
  }

  async #ingest(source: SourcePlan): Promise<number> {
    const { log } = this.#context
    const name = sourceLogName(source)
    const { feeds, keyedLogs } = await openFeeds(this.#context, source, this.#feeds.get(name))
    this.#feeds.set(name, feeds)
    // What no view reads stays in the topic, for the first one that will.
    if (keyedLogs.length === 0) return 0
    const topic = await log.topic(sourceTopic(source.name))
    if (topic === null) return 0
    const checkpoint = await this.#checkpoint(source, topic)
    const isMore = (await log.endOffset(topic.name, 0)) > checkpoint.nextOffset
    const held = isMore ? await this.#pressure.heldBack(keyedLogs) : null
    await this.#hold(name, held)
    if (!isMore || held !== null) return 0
    const { messageBytesMax, backlogBytesMax } = limitsOf(this.#context)
    const rules = rulesAt(checkpoint, source)
    const fetchedRecords = await log.read(topic.name, 0, checkpoint.nextOffset, Math.min(FETCH_BYTES, backlogBytesMax))
    const records = fetchedRecords.filter(({ offset }) => offset < rules.until)
    if (records.length === 0) return 0
    const nextOffset = records[records.length - 1].offset + 1
    if ((await log.endOffset(topic.name, 0)) > nextOffset) this.#isBehind = true
    const lastSent = laterSent(checkpoint.lastSent, feeds.lastSent)
    const { incarnation, historyEnd } = checkpoint
    const fetched = { origin: `${topic.incarnation}/0`, records, lastSent, historyEnd }
    const { events, blocks, letters } = this.#convert(rules.source, keyedLogs, fetched)
    const all = [...blocks, ...deadLetterAppends(name, letters, messageBytesMax)]
    const appends = all.length === 0 ? [] : [...all, feeds.guard]
    try {
      const next: IngestCheckpoint = { incarnation, nextOffset, lastSent, historyEnd, rules: checkpoint.rules }
      const results = await appendIngested(this.#context, name, appends, next)
      this.#recent?.add(blocks, results)
    } catch (error) {
      if (!isConflict(error)) throw error
      // The feeds changed since: the next round reads them.
      return 1
    }
    return events
  }

  async #hold(source: string, held: HeldBack | null): Promise<void> {
    const { log, metadata } = this.#context
    if (this.#held === null) {
      this.#held = new Map()
      for (const name of (await readHeldBack(metadata)).keys()) await publishHeldBack(metadata, name, null)
    }
    if (this.#held.get(source)?.by === held?.by) return
    if (held === null) this.#held.delete(source)
    else this.#held.set(source, held)
    await publishHeldBack(metadata, source, held === null ? null : { ...held, since: Math.floor(log.now()) })
  }

  /** Where to read on. TM_STREAM_GAP, TM_SOURCE_TRUNCATED where that is not possible. */
  async #checkpoint(source: SourcePlan, topic: TopicInfo): Promise<IngestCheckpoint> {
    const { incarnation } = topic
    const held = await readIngestCheckpoint(this.#context, sourceLogName(source))
    if (held === null) return this.#begin(source, topic)
    if (held.incarnation !== incarnation) {
      throw failStream(
        'TM_STREAM_GAP',
        `source ${source.name} was made anew (incarnation ${incarnation}, ingest had read ${held.incarnation}): its checkpoint does not fit; use a fresh data folder or name the source anew`,
      )
    }
    const start = await this.#context.log.startOffset(topic.name, 0)
    if (start > held.nextOffset) {
      throw failStream(
        'TM_SOURCE_TRUNCATED',
        `source ${source.name} begins at offset ${start}, ingest has read it up to ${held.nextOffset}: records ${held.nextOffset} to ${start - 1} are gone (retention?) and were never read. Restore them and start again; to go on without them, give the source another name: its features then begin anew`,
      )
    }
    return keepRules(this.#context, source, held)
  }

  /** A later version of a source reads the topic from its beginning: that is the history that it has. */
  async #begin({ version = 1 }: SourcePlan, topic: TopicInfo): Promise<IngestCheckpoint> {
    const historyEnd = version === 1 ? 0 : await this.#context.log.endOffset(topic.name, 0)
    return { incarnation: topic.incarnation, nextOffset: 0, lastSent: {}, historyEnd }
  }

  #convert(source: SourcePlan, keyedLogs: readonly KeyedLog[], fetched: Fetched): Converted {
    const { origin, records, lastSent, historyEnd } = fetched
    const entities = keyedLogs.map(({ entity }) => entity)
    const decoder = this.#decoder(source)
    const { messageBytesMax } = limitsOf(this.#context)
    const rules = { source, entities, messageBytesMax }
    const { events, refused } = recordEvents({ ...rules, decoder, origin, records, historyEnd })
    const letters = refused.map(({ code, reason, record, line, payload }): DeadLetter => ({
      code,
      reason,
      origin,
      sequence: [records[record].offset, line],
      ...(records[record].offset < historyEnd ? { arrivedAt: records[record].appendTime } : {}),
      ...letterPayload(payload),
    }))
    const blocks = keyedLogs.flatMap((keyedLog) =>
      repartition({ ...appendTarget(this.#context, keyedLog), source }, events, lastSent),
    )
    return { events: events.length + refused.length, blocks, letters }
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
