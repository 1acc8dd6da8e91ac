import { bucketOf, partitionOf } from '../../features/values/entity-key.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { ForgottenKeys } from '../../registry/forgotten-keys.ts'
import type { KeyedLog } from '../../registry/keyed-logs.ts'
import { failStore } from '../../stores/errors.ts'
import { everyKeyedLog } from '../every-keyed-log.ts'
import { keyedTopic } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import type { ForgottenKey } from './forgotten-key.ts'
import { rebuildStates } from './rebuild-states.ts'
import { thinArchive } from './thin-archive.ts'
import { thinDeadLetters, thinKeyedLog, thinServedLog, thinSourceTopic } from './thin-logs.ts'
import { touchedEntities } from './touched-entities.ts'

/** What was removed, or written anew. */
export interface Forgotten {
  /** Events in keyed logs; an event is in one for each entity of its source. */
  events: number
  archivedEvents: number
  sourceLines: number
  deadLetters: number
  servedVectors: number
  /** States deleted, or rebuilt without the key's events. */
  states: number
  /** Other entities that lost events. */
  touchedEntities: number
}

export interface ForgetOptions {
  /** Parts done, of how many. */
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * Removes every event about a key: from source topics, dead letters, keyed logs, archive and served log; and makes online states what a replay of the rest gives. No role
 * may be at work meanwhile, nor a reader of the archive. What is still to be removed is found anew by each run, and states are made before the events go that they are
 * made without: killed at any moment and run again, it completes. `now`: epoch ms of the deployment.
 */
export async function forgetKey(
  context: StreamContext,
  key: ForgottenKey,
  now: number,
  { onProgress }: ForgetOptions = {},
): Promise<Forgotten> {
  if (!context.log.isRewritable)
    throw failStore(
      'TM_LOG_REWRITE',
      'events cannot be taken out of this log (Kafka), and states without them would come back from it: nothing was changed. Keep what must be forgotten out of Kafka, or use the embedded log',
    )
  const result: Forgotten = {
    events: 0,
    archivedEvents: 0,
    sourceLines: 0,
    deadLetters: 0,
    servedVectors: 0,
    states: 0,
    touchedEntities: 0,
  }
  const list = await ForgottenKeys.open(context.metadata)
  const hash = list.hash(key.entity.name, key.bytes)
  const held = await list.of(hash)
  await list.write(hash, { entity: key.entity.name, at: now, isDone: false, removed: held?.removed ?? {} })

  const keyedLogs = (await everyKeyedLog(context.registry)).filter(({ source }) => key.isIn(source))
  const sources = await everySource(context, keyedLogs, key)
  const jobs: (() => Promise<void>)[] = [
    ...keyedLogs.map((keyedLog) => () => settleStates(context, key, { keyedLog, list, now, result })),
    ...keyedLogs.map((keyedLog) => async () => {
      result.events += await thinKeyedLog(context, key, keyedLog)
    }),
    ...sources.map((source) => async () => {
      result.sourceLines += await thinSourceTopic(context, key, source)
      result.deadLetters += await thinDeadLetters(context, key, source)
    }),
    async () => {
      result.servedVectors += await thinServedLog(context, key)
    },
    ...keyedLogs.map((keyedLog) => async () => {
      const topic = await context.log.topic(keyedTopic(keyedLog.name))
      if (topic === null) return
      for (let partition = 0; partition < topic.partitions; partition++) {
        const place = { keyedLog: keyedLog.name, incarnation: topic.incarnation, partition }
        result.archivedEvents += await thinArchive(context, key, place)
      }
    }),
  ]
  for (const [i, job] of jobs.entries()) {
    await job()
    onProgress?.(i + 1, jobs.length)
  }
  const removed: Record<string, number> = { ...held?.removed }
  for (const [what, count] of Object.entries(result)) removed[what] = (removed[what] ?? 0) + Number(count)
  await list.write(hash, { entity: key.entity.name, at: now, isDone: true, removed })
  return result
}

async function settleStates(
  context: StreamContext,
  key: ForgottenKey,
  { keyedLog, list, now, result }: { keyedLog: KeyedLog; list: ForgottenKeys; now: number; result: Forgotten },
): Promise<void> {
  const topic = await context.log.topic(keyedTopic(keyedLog.name))
  const isOwn = keyedLog.entity.name === key.entity.name
  const ownPartition = partitionOf(bucketOf(key.bytes, context.buckets), context.partitions)
  for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
    if (isOwn && partition !== ownPartition) continue
    const entities = isOwn ? [key.bytes] : await touchedEntities(context, key, keyedLog, partition)
    if (entities.length === 0) continue
    if (!isOwn) {
      const belowOffset = await context.log.endOffset(topic.name, partition)
      for (const entity of entities)
        await list.writeTouched(keyedLog.name, keyedLog.entity.name, entity, { belowOffset, at: now })
      result.touchedEntities += entities.length
    }
    result.states += await rebuildStates(context, key, { keyedLog, partition, entities })
  }
}

async function everySource(
  { registry }: StreamContext,
  keyedLogs: readonly KeyedLog[],
  key: ForgottenKey,
): Promise<SourcePlan[]> {
  const sources = new Map(keyedLogs.map(({ source }) => [sourceLogName(source), source]))
  for (const source of await registry.sources()) if (key.isIn(source)) sources.set(sourceLogName(source), source)
  return [...sources.values()]
}
