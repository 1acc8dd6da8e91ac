import { after, test } from 'node:test'
import type { TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { openRedisOnline } from '../../stores/online/redis/open.ts'
import type { OnlineStore } from '../../stores/online/online-store.ts'
import { missing } from '../services/installation.ts'
import { startRedisCluster } from '../services/redis-cluster.ts'
import { startRedis } from '../services/redis.ts'
import { hasErrorCode } from '../support/folders.ts'
import { onlineContract } from './online.contract.ts'
import type { OnlineFixture } from './online.contract.ts'
import { onlineRewriteContract } from './online-rewrite.contract.ts'

const skip = missing('redis')

interface Servers {
  readonly url: string
  readonly nodes: readonly { command(...args: readonly string[]): Promise<unknown> }[]
  readonly stop: () => Promise<void>
}

const standalone = async (): Promise<Servers> => {
  const { url, node, stop } = await startRedis()
  return { url, nodes: [node], stop }
}
const cluster = async (): Promise<Servers> => {
  const { addresses, nodes, stop } = await startRedisCluster()
  return { url: `redis-cluster://${addresses.map(({ host, port }) => `${host}:${port}`).join(',')}`, nodes, stop }
}

/** Servers of this file's own, empty and without scripts for each test. */
function onRedis(start: () => Promise<Servers>): (context: TestContext) => Promise<OnlineFixture> {
  let started: Promise<Servers> | null = null
  after(async () => (await started)?.stop())
  return async (context) => {
    const { url, nodes } = await (started ??= start())
    for (const node of nodes) {
      await node.command('FLUSHALL')
      await node.command('SCRIPT', 'FLUSH')
    }
    let now = 1_700_000_000_000
    const opened: OnlineStore[] = []
    context.after(() => Promise.all(opened.map((store) => store.close())))
    return {
      async open() {
        const store = await openRedisOnline({ url, now: () => now })
        opened.push(store)
        return store
      },
      setNow(epochMs) {
        now = epochMs
      },
    }
  }
}

for (const [name, start] of [
  ['Redis online store', standalone],
  ['Redis Cluster online store', cluster],
] as const) {
  const fixture = onRedis(start)
  onlineContract(name, fixture, skip)
  onlineRewriteContract(name, fixture, skip)
}

test(
  'a Redis that could evict states, one that is not there and a wrong address are refused',
  { skip },
  async (context) => {
    const { url, node, port, stop } = await startRedis({ maxmemory: '64mb', 'maxmemory-policy': 'allkeys-lru' })
    context.after(stop)
    await assert.rejects(openRedisOnline({ url }), hasErrorCode('TM_ONLINE_EVICTION'))
    await node.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await (await openRedisOnline({ url })).close()
    await node.kill()
    await assert.rejects(openRedisOnline({ url }), hasErrorCode('TM_ONLINE_UNAVAILABLE'))
    for (const wrong of ['redis-cluster://localhost', 'redis-sentinel://localhost:1', `http://localhost:${port}`])
      await assert.rejects(openRedisOnline({ url: wrong }), hasErrorCode('TM_CONFIG_ONLINE'), wrong)
  },
)
