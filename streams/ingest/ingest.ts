import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../features/errors/tidemark-error.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { canonicalJson } from '../../features/plan/canonical-json.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { LogRecord, TopicPartition } from '../../stores/log/log.ts'
import { BackPressure } from './back-pressure.ts'
import { deadLetterAppends, letterPayload } from '../dead-letters/dead-letters.ts'
import type { DeadLetter } from '../dead-letters/dead-letters.ts'
import { createEventDecoder, recordBytes } from './event-decoder.ts'
import type { EventDecoder } from './event-decoder.ts'
import { publishHeldBack, readHeldBack } from './held-back.ts'
import type { HeldBackCause } from './held-back.ts'
import { appendIngested } from './ingest-checkpoint.ts'
import type { IngestCheckpoint } from './ingest-checkpoint.ts'
import { SourcePositions } from './source-positions.ts'
import { appendTarget, laterSent, repartition } from './keyed-append.ts'
import type { BlockAppend, LastSent } from './keyed-append.ts'
import { recordEvents } from './record-events.ts'
import type { RecentBlocks } from '../blocks/recent-blocks.ts'
import { isConflict, openFeeds } from '../feeds/source-feeds.ts'
import type { OpenFeeds, SourceFeeds } from '../feeds/source-feeds.ts'
import { rulesAt } from '../feeds/take-over-rules.ts'
import { OWNS_ALL, partOf, sourcePart } from '../workers/ownership.ts'
import type { Ownership } from '../workers/ownership.ts'
import { limitsOf, sourceTopic, usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'

/** A partition of a source that fails so stops, others go on. */
const STOPPING: ReadonlySet<string> = new Set(['TM_SOURCE_TRUNCATED', 'TM_SOURCE_RECREATED'])

/** No more than what may lie behind apply and archive, where that is less. */
const FETCH_BYTES = 4 << 20
const AWAY = 'TM_SCHEMA_REGISTRY_UNAVAILABLE'

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
  readonly #ownership: Ownership
  readonly #feeds = new Map<string, SourceFeeds>()
  readonly #decoders = new Map<string, { readonly schema: string; readonly decoder: EventDecoder }>()
  /** Source partitions that stopped, with the cause, by name. */
  readonly #stopped = new Map<string, TidemarkError>()
  /** Source versions that wait for the schema registry, with the cause. */
  readonly #waiting = new Map<string, TidemarkError>()
  readonly #pressure: BackPressure
  readonly #positions: SourcePositions
  /** Sources whose ingest waits; null: what was published of another process is not known. */
  #held: Map<string, HeldBackCause> | null = null
  #isBehind = false

  /** `recent` is told of every block appended. */
  constructor(
    context: StreamContext,
    recent: RecentBlocks | null = null,
    pressure: BackPressure = new BackPressure(context),
    ownership: Ownership = OWNS_ALL,
  ) {
    this.#ownership = ownership
    this.#context = context
    this.#recent = recent
    this.#pressure = pressure
    this.#positions = new SourcePositions(context)
  }

  /** Whether the last fetch left records of some source unread. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** Whether the ingest of some source waits for apply or archive (see `BackPressure`). */
  get isHeldBack(): boolean {
    return this.#held !== null && [...this.#held.values()].some(({ by }) => by !== 'schema-registry')
  }

  /** One fetch of every partition of every source that is not held back. Returns how many events were taken in (accepted or refused). */
  async runOnce(): Promise<number> {
    let moved = 0
    this.#isBehind = false
    for (const source of await usedSources(this.#context)) {
      const name = sourceLogName(source)
      if (this.#ownership.owns(sourcePart(name))) moved += await this.#ingest(source)
      else this.letGo([name])
    }
    return moved
  }

  /** Sources, by log name, that are to be another worker's: nothing of them is under way between two rounds, and where they stand is to be read again. */
  letGo(sources: readonly string[]): void {
    for (const source of sources) {
      this.#positions.forgetSource(source)
      this.#held?.delete(source)
      this.#waiting.delete(source)
      for (const name of this.#stopped.keys()) if (partOf(name) === sourcePart(source)) this.#stopped.delete(name)
    }
  }

  /** Source versions whose events name schemas that cannot be asked for now, each with the cause; they are tried again. */
  get waiting(): ReadonlyMap<string, TidemarkError> {
    return this.#waiting
  }

  /** Source partitions (`source.<name>/<number>`) that stopped for good, each with its cause; all others go on. */
  get stopped(): ReadonlyMap<string, TidemarkError> {
    return this.#stopped
  }

  async #ingest(source: SourcePlan): Promise<number> {
    const { log } = this.#context
    const name = sourceLogName(source)
    const open = await openFeeds(this.#context, source, this.#feeds.get(name))
    this.#feeds.set(name, open.feeds)
    // What no view reads stays in the topic, for the first one that will.
    if (open.keyedLogs.length === 0) {
      this.#positions.forgetSource(name)
      this.#waiting.delete(name)
      return 0
    }
    const topic = await log.topic(sourceTopic(this.#context, source))
    if (topic === null) return 0
    const places = Array.from({ length: topic.partitions }, (_, partition): TopicPartition => {
      return { topic: topic.name, partition, incarnation: topic.incarnation }
    })
    const ends = await Promise.all(places.map(({ partition }) => log.endOffset(topic.name, partition)))
    let moved = 0
    let isHeld = false
    let away: TidemarkError | null = null
    for (const [partition, place] of places.entries()) {
      const stopName = `source.${name}/${partition}`
      if (this.#stopped.has(stopName)) continue
      try {
        const checkpoint = await this.#positions.next(source, place, ends[partition])
        if (checkpoint === null) continue
        isHeld ||= await this.#holds(name, open)
        if (!isHeld) moved += await this.#ingestPartition(source, open, place, checkpoint)
      } catch (error) {
        if (!isTidemarkError(error)) throw error
        if (error.code === AWAY) away = error
        else if (STOPPING.has(error.code)) this.#stopped.set(stopName, error)
        else throw error
      }
    }
    if (!isHeld) await this.#waitFor(name, away)
    return moved
  }

  async #holds(source: string, { keyedLogs }: OpenFeeds): Promise<boolean> {
    const held = await this.#pressure.heldBack(keyedLogs)
    if (held !== null) await this.#hold(source, held)
    return held !== null
  }

  /** Good events are no dead letters because the schema registry is away: their source waits; null: for nothing. */
  async #waitFor(source: string, away: TidemarkError | null): Promise<void> {
    if (away === null) this.#waiting.delete(source)
    else this.#waiting.set(source, away)
    await this.#hold(source, away === null ? null : { by: 'schema-registry', reason: away.message })
  }

  async #ingestPartition(
    source: SourcePlan,
    { feeds, keyedLogs }: OpenFeeds,
    place: TopicPartition,
    checkpoint: IngestCheckpoint,
  ): Promise<number> {
    const { log } = this.#context
    const name = sourceLogName(source)
    const { messageBytesMax, backlogBytesMax } = limitsOf(this.#context)
    const bytesMax = Math.min(FETCH_BYTES, backlogBytesMax)
    const rules = rulesAt(checkpoint, source)
    const reading = await log.readOn(place, checkpoint.nextOffset, bytesMax)
    const records = reading.records.filter(({ offset }) => offset < rules.until)
    const nextOffset = Math.min(reading.nextOffset, rules.until)
    if (nextOffset === checkpoint.nextOffset) return 0
    const decoder = this.#decoder(rules.source)
    await decoder.prepare(records.map((record) => recordBytes(rules.source, record)))
    if ((await log.endOffset(place.topic, place.partition)) > nextOffset) this.#isBehind = true
    const { incarnation, historyEnd } = checkpoint
    const origin = `${incarnation}/${place.partition}`
    const lastSent = laterSent(checkpoint.lastSent, feeds.lastSentOf(origin))
    const fetched = { origin, records, lastSent, historyEnd }
    const { events, blocks, letters } = this.#convert(rules.source, keyedLogs, fetched, decoder)
    const all = [...blocks, ...deadLetterAppends(name, letters, messageBytesMax)]
    const appends = all.length === 0 ? [] : [...all, feeds.guard]
    const at = { source: name, partition: place.partition }
    try {
      const { beganWith, tookOver } = checkpoint
      const next: IngestCheckpoint = {
        incarnation,
        nextOffset,
        lastSent,
        historyEnd,
        beganWith,
        rules: checkpoint.rules,
        tookOver,
      }
      const results = await appendIngested(this.#context, at, appends, next)
      this.#positions.moved(at, next)
      this.#recent?.add(blocks, results)
    } catch (error) {
      this.#positions.forget(at)
      if (!isConflict(error)) throw error
      // The feeds changed since: the next round reads them.
      return 1
    }
    // Records without events were taken in too.
    return Math.max(1, events)
  }

  async #hold(source: string, held: HeldBackCause | null): Promise<void> {
    const { log, metadata } = this.#context
    if (this.#held === null) {
      this.#held = new Map()
      for (const name of (await readHeldBack(metadata)).keys())
        if (this.#ownership.owns(sourcePart(name))) await publishHeldBack(metadata, name, null)
    }
    if (this.#held.get(source)?.by === held?.by) return
    if (held === null) this.#held.delete(source)
    else this.#held.set(source, held)
    await publishHeldBack(metadata, source, held === null ? null : { ...held, since: Math.floor(log.now()) })
  }

  #convert(source: SourcePlan, keyedLogs: readonly KeyedLog[], fetched: Fetched, decoder: EventDecoder): Converted {
    const { origin, records, lastSent, historyEnd } = fetched
    const entities = keyedLogs.map(({ entity }) => entity)
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

  /** Kept, with the texts and schemas that it knows, as long as the source's schema and format are the same. */
  #decoder(source: SourcePlan): EventDecoder {
    const held = this.#decoders.get(sourceLogName(source))
    const schema = canonicalJson([source.fields, source.eventTime, source.format])
    if (held?.schema === schema) return held.decoder
    const decoder = createEventDecoder(source, this.#context.schemas ?? null)
    this.#decoders.set(sourceLogName(source), { schema, decoder })
    return decoder
  }
}
