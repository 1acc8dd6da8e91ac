import { keyedTopic } from '../streams/stream-context.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import { partitionStatus } from '../streams/wait.ts'

export interface KeyedLogLag {
  readonly keyedLog: string
  readonly lagRecords: number
  /** Age of the oldest record that is not applied; 0 when there is none. */
  readonly freshnessMs: number
}

/** How far the online states lie behind each keyed log. */
export async function keyedLogLag(context: StreamContext): Promise<KeyedLogLag[]> {
  const lags = new Map<string, { lagRecords: number; freshnessMs: number }>()
  for (const { keyedLog, partition, endOffset, appliedOffset } of await partitionStatus(context)) {
    const lag = lags.get(keyedLog) ?? { lagRecords: 0, freshnessMs: 0 }
    lags.set(keyedLog, lag)
    if (appliedOffset >= endOffset) continue
    lag.lagRecords += endOffset - appliedOffset
    const [oldest] = await context.log.read(keyedTopic(keyedLog), partition, appliedOffset, 1)
    if (oldest !== undefined) lag.freshnessMs = Math.max(lag.freshnessMs, context.log.now() - oldest.appendTime)
  }
  return [...lags].map(([keyedLog, lag]) => ({ keyedLog, ...lag }))
}
