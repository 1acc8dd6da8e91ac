import { join } from 'node:path'
import { reservePorts } from './ports.ts'
import { APPEND_ONLY, RedisNode } from './redis-node.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'
import { until } from './until.ts'

const PRIMARIES = 3
const SLOTS = 16_384

export interface RedisClusterServer {
  /** The first three are primaries at the start, in the order of their slots; then replicas in the same order, if there are any. */
  readonly nodes: readonly RedisNode[]
  readonly addresses: readonly { readonly host: string; readonly port: number }[]
  /** Until every slot is served, in the eyes of all nodes that run. */
  readonly whole: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** A Redis Cluster of three primaries, with a replica each if asked for: one that is killed is replaced after about 2 s. */
export async function startRedisCluster(
  options: { readonly replicas?: 0 | 1; readonly settings?: Readonly<Record<string, string | number>> } = {},
): Promise<RedisClusterServer> {
  const count = PRIMARIES * (1 + (options.replicas ?? 0))
  const folder = serviceFolder('redis-cluster')
  const ports = await reservePorts(count)
  const busPorts = await reservePorts(count)
  const nodes = ports.map(
    (port, i) =>
      new RedisNode(`cluster ${i}`, join(folder, `node-${i}`), port, {
        ...APPEND_ONLY,
        'cluster-enabled': 'yes',
        'cluster-port': busPorts[i],
        'cluster-node-timeout': 1000,
        'cluster-replica-validity-factor': 0,
        'repl-diskless-sync-delay': 0,
        ...options.settings,
      }),
  )
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()))
    removeServiceFolder(folder)
  }
  try {
    await Promise.all(nodes.map((node) => node.start()))
    await joinTogether(nodes, busPorts)
    await whole(nodes)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    nodes,
    addresses: ports.map((port) => ({ host: '127.0.0.1', port })),
    whole: () => whole(nodes.filter((node) => node.running)),
    stop,
  }
}

async function joinTogether(nodes: readonly RedisNode[], busPorts: readonly number[]): Promise<void> {
  for (const [i, node] of nodes.entries()) {
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    if (i >= PRIMARIES) continue
    const bound = (n: number): number => Math.floor((n * SLOTS) / PRIMARIES)
    await node.command('CLUSTER', 'ADDSLOTSRANGE', bound(i), bound(i + 1) - 1)
  }
  for (const [i, node] of nodes.entries())
    if (i > 0) await node.command('CLUSTER', 'MEET', '127.0.0.1', nodes[0].port, busPorts[0])
  for (const node of nodes)
    await until(async () => (await info(node, 'CLUSTER')).get('cluster_known_nodes') === String(nodes.length))
  for (const [i, node] of nodes.entries()) {
    if (i < PRIMARIES) continue
    const primary = String(await nodes[i - PRIMARIES].command('CLUSTER', 'MYID'))
    await until(async () => (await node.command('CLUSTER', 'REPLICATE', primary)) === 'OK')
    await until(async () => (await info(node, 'REPLICATION')).get('master_link_status') === 'up')
  }
}

async function whole(nodes: readonly RedisNode[]): Promise<void> {
  for (const node of nodes)
    await until(async () => {
      const state = await info(node, 'CLUSTER')
      return state.get('cluster_state') === 'ok' && state.get('cluster_slots_ok') === String(SLOTS)
    })
}

/** CLUSTER INFO, or a section of INFO. */
export async function info(node: RedisNode, section: string): Promise<Map<string, string>> {
  const text = String(await (section === 'CLUSTER' ? node.command('CLUSTER', 'INFO') : node.command('INFO', section)))
  return new Map(text.split('\r\n').map((line) => line.split(':', 2) as [string, string]))
}
