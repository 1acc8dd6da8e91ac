import { join } from 'node:path'
import { reservePorts } from './ports.ts'
import { info } from './redis-cluster.ts'
import { APPEND_ONLY, RedisNode } from './redis-node.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'
import { until } from './until.ts'

export interface RedisSentinelServer {
  /** The name that clients ask the sentinel for. */
  readonly primaryName: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  readonly sentinel: RedisNode
  /** The primary at the start, and its replica. */
  readonly primary: RedisNode
  readonly replica: RedisNode
  /** The port of the primary of now, as the sentinel knows it. */
  readonly primaryPort: () => Promise<number>
  readonly stop: () => Promise<void>
}

const NAME = 'tidemark'

/** A primary and a replica under one sentinel: a primary that is killed is replaced after about 1 s. */
export async function startRedisSentinel(): Promise<RedisSentinelServer> {
  const folder = serviceFolder('redis-sentinel')
  const ports = await reservePorts(3)
  const local = { ...APPEND_ONLY, 'repl-diskless-sync-delay': 0 }
  const primary = new RedisNode('primary', join(folder, 'primary'), ports[0], local)
  const replica = new RedisNode('replica', join(folder, 'replica'), ports[1], {
    ...local,
    replicaof: `127.0.0.1 ${ports[0]}`,
  })
  const sentinel = new RedisNode('sentinel', join(folder, 'sentinel'), ports[2], {
    'sentinel monitor': `${NAME} 127.0.0.1 ${ports[0]} 1`,
    'sentinel down-after-milliseconds': `${NAME} 500`,
    'sentinel failover-timeout': `${NAME} 2000`,
  })
  const stop = async (): Promise<void> => {
    await Promise.all([sentinel.kill(), primary.kill(), replica.kill()])
    removeServiceFolder(folder)
  }
  try {
    await Promise.all([primary.start(), replica.start()])
    await until(async () => (await info(replica, 'REPLICATION')).get('master_link_status') === 'up')
    await sentinel.start()
    await until(async () => ((await sentinel.command('SENTINEL', 'REPLICAS', NAME)) as unknown[]).length === 1)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    primaryName: NAME,
    sentinels: [{ host: '127.0.0.1', port: ports[2] }],
    sentinel,
    primary,
    replica,
    primaryPort: async () =>
      Number(((await sentinel.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[])[1]),
    stop,
  }
}
