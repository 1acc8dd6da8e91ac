import { sourceLogName } from '../features/plan/source-plan.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { Registry } from '../registry/registry.ts'
import type { Log } from '../stores/log/log.ts'
import type { MetadataStore } from '../stores/metadata/metadata-store.ts'
import type { ObjectStore } from '../stores/objects/object-store.ts'
import type { SchemaRegistry } from '../stores/schemas/schema-registry.ts'
import type { OnlineStore } from '../stores/online/online-store.ts'
import type { Tables } from '../stores/tables/tables.ts'
import { STREAM_LIMITS } from './stream-limits.ts'
import type { StreamLimits } from './stream-limits.ts'

/** What every stream role works with. */
export interface StreamContext {
  readonly log: Log
  readonly online: OnlineStore
  readonly objects: ObjectStore
  readonly metadata: MetadataStore
  readonly tables: Tables
  /** Where the schemas of records are found that name theirs; not given: nowhere. */
  readonly schemas?: SchemaRegistry | null
  readonly registry: Registry
  /** Fixed per deployment. */
  readonly buckets: number
  /** Partitions of each keyed log; divides `buckets`. */
  readonly partitions: number
  /** Default: `STREAM_LIMITS`. */
  readonly limits?: StreamLimits
}

export function limitsOf({ limits }: Pick<StreamContext, 'limits'>): StreamLimits {
  return limits ?? STREAM_LIMITS
}

/** Of a source, whatever its version: a stream's own `topic` where the log has topics of others, else one of Tidemark's. */
export function sourceTopic({ log }: Pick<StreamContext, 'log'>, { kind, name, topic }: SourcePlan): string {
  return (kind === 'stream' ? log.foreignTopic(topic) : null) ?? `source.${name}`
}
export const keyedTopic = (keyedLog: string): string => `keyed.${keyedLog}`
/** These two of a source version: by its `sourceLogName`. */
export const feedsTopic = (source: string): string => `feeds.${source}`
export const deadTopic = (source: string): string => `dead.${source}`

/** What `Log` calls a group: the topics of a source that its producers append to, of all its versions. */
export function sourceOfTopic(topic: string): string | null {
  const [kind, source] = topic.split('.')
  return kind === 'keyed' || kind === 'feeds' || kind === 'dead' ? source : null
}

/** Every source version that is registered, or that a view reads which is still served. */
export async function usedSources({ registry }: Pick<StreamContext, 'registry'>): Promise<SourcePlan[]> {
  const sources = new Map((await registry.sources()).map((source) => [sourceLogName(source), source]))
  for (const { source } of await registry.keyedLogs())
    if (!sources.has(sourceLogName(source))) sources.set(sourceLogName(source), source)
  return [...sources.values()]
}

/** Creates the topics that the current definitions need. */
export async function createTopics(context: StreamContext): Promise<void> {
  for (const source of await usedSources(context)) {
    await context.log.createTopic(sourceTopic(context, source), { partitions: 1 })
    await context.log.createTopic(deadTopic(sourceLogName(source)), { partitions: 1 })
    await context.log.createTopic(feedsTopic(sourceLogName(source)), { partitions: 1 })
  }
  for (const keyedLog of await context.registry.keyedLogs()) {
    await context.log.createTopic(keyedTopic(keyedLog.name), { partitions: context.partitions })
  }
}
