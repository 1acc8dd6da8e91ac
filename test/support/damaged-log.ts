import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { AppendResult, Log, LogCheckpoint, TopicAppend } from '../../stores/log/log.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import type { Random } from './random.ts'

/** The same stores, whose log loses some of the blocks that are appended while `isLosing()`; their producer never knows. */
export function losingContext(context: StreamContext, random: Random, share: () => number): StreamContext {
  const { log } = context
  const appendAll = async (appends: readonly TopicAppend[], checkpoint?: LogCheckpoint): Promise<AppendResult[]> => {
    const kept = appends.filter(({ topic }) => !topic.startsWith('keyed.') || random.next() >= share())
    const results = await log.appendAll(kept, checkpoint)
    return appends.map((append) => results[kept.indexOf(append)] ?? { baseOffset: 0, emptyFrom: 0, appendTime: 0 })
  }
  const losing: Log = new Proxy(log, {
    get: (target, name): unknown => {
      if (name === 'appendAll') return appendAll
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { ...context, log: losing }
}

/** Flips a random bit of one stored record. */
export async function flipBit(
  log: Log,
  random: Random,
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const [record] = await log.read(topic, partition, offset, 1)
  await log.rewrite(topic, partition, [{ offset, value: flipped(record.value, random) }])
}

/** The bytes with a random bit of them flipped. */
export function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const value = Uint8Array.from(bytes)
  value[random.below(value.length)] ^= 1 << random.below(8)
  return value
}

/** Runs what may find the log damaged. */
export async function despiteDamage(run: () => Promise<unknown>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!isTidemarkError(error) || !['TM_STREAM_GAP', 'TM_BLOCK_UNREADABLE'].includes(error.code)) throw error
  }
}
