import { startKafka } from '../../test/services/kafka-cluster.ts'
import { missing } from '../../test/services/installation.ts'
import { startRedis } from '../../test/services/redis.ts'
import { sharedServer } from '../../test/services/shared-server.ts'

/** A broker and a Redis for a benchmark. */
export interface BenchEngines {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  /** Processes, by name; empty where others share the servers. */
  readonly pids: Readonly<Record<string, number>>
  stop(): Promise<void>
}

/** As servers run, not as tests start them: the broker compiles what is hot, and has room. */
const BROKER_FLAGS = ['-XX:TieredStopAtLevel=4', '-XX:-UseSerialGC', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']
const BROKER_HEAP_MIB = 1024

/** Servers of the benchmark's own; `shared`: those that tests share. Fails where they are not installed. */
export async function openEngines({ shared }: { readonly shared: boolean }): Promise<BenchEngines> {
  const absent = missing('kafka', 'redis')
  if (absent !== false) throw new Error(absent)
  if (shared) {
    const [{ brokers }, { url }] = await Promise.all([sharedServer('kafka'), sharedServer('redis')])
    return { brokers, redisUrl: url, pids: {}, stop: async () => {} }
  }
  const [kafka, redis] = await Promise.all([
    startKafka({ heapMiB: BROKER_HEAP_MIB, extraJavaFlags: BROKER_FLAGS }),
    startRedis(),
  ])
  return {
    brokers: kafka.brokers,
    redisUrl: redis.url,
    pids: { broker: kafka.nodes[0].pid, redis: redis.node.pid },
    stop: async () => {
      await Promise.all([kafka.stop(), redis.stop()])
    },
  }
}
