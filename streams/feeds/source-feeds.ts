import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { isCompatible } from '../../registry/source-versions.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import type { Log, TopicAppend } from '../../stores/log/log.ts'
import { failStream } from '../errors.ts'
import type { LastSent } from '../ingest/keyed-append.ts'
import { createTopics, feedsTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import { beginTakeOver, hasReturned } from './take-over.ts'

/*
 * The feeds log of a source (`feeds.<source>`), one JSON record per change: which keyed logs its producers (ingest, import, replay) append to. Every append
 * of a producer is bound to the end of this log, so a change takes effect between two appends, for all producers at once. A keyed log that is not fed
 * lacks events: it is filled from the others (`fill-role.ts`) before it is fed.
 */
interface FeedChange {
  readonly keyedLog: string
  readonly fed: boolean
  /** What was sent last from each partition of the source's topic, by origin, when the keyed log began to be fed. */
  readonly lastSent: Readonly<Record<string, LastSent>>
  /** What this version of the source took over from others when it began to be fed. */
  readonly takenOver?: TakenOver
}

export interface TakenOver {
  /** Where the others' keyed logs ended, by `<topic>/<partition>`. */
  readonly ends: Readonly<Record<string, number>>
  /** Of this incarnation of the source's topic, by partition: records from there on are read again, as an added column is in them. */
  readonly incarnation: string
  readonly before: readonly number[]
}

const FETCH_BYTES = 1 << 20
const ATTEMPTS_MAX = 20
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Which keyed logs a source's producers append to, up to some end of the feeds log. */
export class SourceFeeds {
  /** `sourceLogName` of the source. */
  readonly source: string
  readonly #fed = new Map<string, FeedChange['lastSent']>()
  #takenOver: TakenOver | null = null
  #end = 0

  constructor(source: string) {
    this.source = source
  }

  static async read(log: Log, source: string): Promise<SourceFeeds> {
    const feeds = new SourceFeeds(source)
    await feeds.readOn(log)
    return feeds
  }

  /** Takes in what was changed since. */
  async readOn(log: Log): Promise<void> {
    const topic = feedsTopic(this.source)
    if ((await log.topic(topic)) === null || (await log.endOffset(topic, 0)) === this.#end) return
    for (;;) {
      const records = await log.read(topic, 0, this.#end, FETCH_BYTES)
      if (records.length === 0) return
      for (const { offset, value } of records) {
        this.#take(JSON.parse(decoder.decode(value)) as FeedChange)
        this.#end = offset + 1
      }
    }
  }

  /** Nothing was ever fed, so nothing was ever appended. */
  get isNew(): boolean {
    return this.#end === 0
  }

  get fed(): readonly string[] {
    return [...this.#fed.keys()]
  }

  isFed(keyedLog: string): boolean {
    return this.#fed.has(keyedLog)
  }

  /** See `FeedChange.lastSent`; of an origin, to all keyed logs that are fed. */
  lastSentOf(origin: string): LastSent {
    return Object.assign({}, ...[...this.#fed.values()].map((sent) => sent[origin])) as LastSent
  }

  /** See `FeedChange.takenOver`. */
  get takenOver(): TakenOver | null {
    return this.#takenOver
  }

  /** Makes an append fail with TM_LOG_CONFLICT once the feeds are others than these. */
  get guard(): TopicAppend {
    return { topic: feedsTopic(this.source), partition: 0, values: [], ifEnd: this.#end }
  }

  /** An append that changes the feeds, if they are these still. */
  change(
    changes: readonly (Omit<FeedChange, 'lastSent'> & { readonly lastSent?: FeedChange['lastSent'] })[],
  ): TopicAppend {
    const values = changes.map(({ lastSent = {}, ...change }) =>
      encoder.encode(JSON.stringify({ ...change, lastSent } satisfies FeedChange)),
    )
    return { ...this.guard, values }
  }

  #take({ keyedLog, fed, lastSent, takenOver }: FeedChange): void {
    if (takenOver !== undefined) this.#takenOver = takenOver
    if (fed) this.#fed.set(keyedLog, lastSent)
    else this.#fed.delete(keyedLog)
  }
}

/** What a producer appends a source's events to now: `guard` goes with every append. */
export interface OpenFeeds {
  readonly feeds: SourceFeeds
  readonly keyedLogs: readonly KeyedLog[]
}

/**
 * Brings a source's feeds in line with the definitions, as far as that needs no fill: the keyed logs of a source without any history are fed at once, and
 * those that nothing reads any more are no longer, nor those of a version that comes back after another took over from it: they are filled with what came meanwhile. `held`: as read before, taken on from there.
 */
export async function openFeeds(context: StreamContext, source: SourcePlan, held?: SourceFeeds): Promise<OpenFeeds> {
  const { log, registry } = context
  const name = sourceLogName(source)
  const feeds = held ?? new SourceFeeds(name)
  for (let attempt = 1; ; attempt++) {
    await feeds.readOn(log)
    const others = await otherDonors(context, source)
    const isStale = feeds.fed.length > 0 && others.length > 0 && (await hasReturned(context, source, others))
    const isFirst = feeds.isNew && others.length === 0
    // Read after the feeds: a keyed log that is fed is known to the registry, or was removed from it since.
    const wanted = (await registry.keyedLogs()).filter((keyedLog) => sourceLogName(keyedLog.source) === name)
    // Fixed as early as can be: what an added column has is in the records from there on.
    if (!isFirst && feeds.fed.length === 0 && wanted.length > 0) await beginTakeOver(context, source, others)
    const names = new Set(wanted.map((keyedLog) => keyedLog.name))
    const changes = [
      ...feeds.fed.filter((keyedLog) => isStale || !names.has(keyedLog)).map((keyedLog) => ({ keyedLog, fed: false })),
      ...(isFirst ? wanted.map((keyedLog) => ({ keyedLog: keyedLog.name, fed: true })) : []),
    ]
    if (changes.length === 0) return { feeds, keyedLogs: wanted.filter((keyedLog) => feeds.isFed(keyedLog.name)) }
    await createTopics(context)
    try {
      await log.appendAll([feeds.change(changes)])
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isConflict(error)) throw error
    }
  }
}

/** The source's other versions whose history one can take over: compatible ones that had any, by the newest plan of each. */
export async function otherDonors({ registry, log }: StreamContext, source: SourcePlan): Promise<SourcePlan[]> {
  const newest = new Map<string, SourcePlan>()
  for (const plan of await registry.sourceVersions(source.name)) newest.set(sourceLogName(plan), plan)
  newest.delete(sourceLogName(source))
  const donors: SourcePlan[] = []
  for (const [name, plan] of newest)
    if (isCompatible(plan, source) && !(await SourceFeeds.read(log, name)).isNew) donors.push(plan)
  return donors
}

/**
 * Runs an append that is bound to the source's feeds (`SourceFeeds.guard`), again with the new ones where they changed meanwhile. TM_SOURCE_UNUSED: no view
 * reads the source. TM_SOURCE_FILLING: views do, but none of their keyed logs has all history yet.
 */
export async function whileFed<T>(
  context: StreamContext,
  source: SourcePlan,
  append: (open: OpenFeeds) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const open = await openFeeds(context, source)
    if (open.keyedLogs.length === 0) throw await unfed(context, source)
    try {
      return await append(open)
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !isConflict(error)) throw error
    }
  }
}

async function unfed({ registry }: StreamContext, wanted: SourcePlan): Promise<Error> {
  const { name } = wanted
  const details = { source: name }
  if ((await registry.keyedLogs()).some(({ source }) => sourceLogName(source) === sourceLogName(wanted)))
    return failStream(
      'TM_SOURCE_FILLING',
      `the keyed logs of ${name} are being filled from its history: try again when \`tidemark status\` shows them filled (\`tidemark wait\` waits)`,
      { details },
    )
  return failStream(
    'TM_SOURCE_UNUSED',
    `no view reads ${name}, so its events would go nowhere: apply a feature view of it, then try again`,
    { details },
  )
}

/** The keyed logs among these that hold all their events: the only ones that are applied and archived. */
export class FedLogs {
  readonly #log: Log
  readonly #feeds = new Map<string, SourceFeeds>()

  constructor(log: Log) {
    this.#log = log
  }

  async among(keyedLogs: readonly KeyedLog[]): Promise<KeyedLog[]> {
    await this.#readOn(keyedLogs)
    return keyedLogs.filter((keyedLog) => this.#of(keyedLog)?.isFed(keyedLog.name) === true)
  }

  /** Those that are not fed although their source has fed some; they are filled first. */
  async filling(keyedLogs: readonly KeyedLog[]): Promise<KeyedLog[]> {
    await this.#readOn(keyedLogs)
    return keyedLogs.filter((keyedLog) => {
      const feeds = this.#of(keyedLog)
      return feeds !== undefined && !feeds.isNew && !feeds.isFed(keyedLog.name)
    })
  }

  #of({ source }: KeyedLog): SourceFeeds | undefined {
    return this.#feeds.get(sourceLogName(source))
  }

  async #readOn(keyedLogs: readonly KeyedLog[]): Promise<void> {
    for (const name of new Set(keyedLogs.map(({ source }) => sourceLogName(source)))) {
      const feeds = this.#feeds.get(name) ?? new SourceFeeds(name)
      this.#feeds.set(name, feeds)
      await feeds.readOn(this.#log)
    }
  }
}

/** Another process changed what an append was bound to: read again and go on. */
export function isConflict(error: unknown): boolean {
  return isTidemarkError(error) && error.code === 'TM_LOG_CONFLICT'
}
