import { createClient, createCluster, createSentinel, ErrorReply, RESP_TYPES } from '@redis/client'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { TidemarkError } from '../../../features/errors/tidemark-error.ts'
import { failStore } from '../../errors.ts'
import { withoutPassword } from '../../without-password.ts'
import type { Script } from './scripts.ts'
import { WatchedClient } from './watched-client.ts'
import type { Client, Reply } from './watched-client.ts'

export type { Reply } from './watched-client.ts'

/** Commands to a Redis, whatever its topology. Those of one turn of the event loop travel together. TM_ONLINE_UNAVAILABLE, TM_ONLINE_FULL. */
export interface RedisConnection {
  /** `key` says which node. */
  send(key: Buffer, command: readonly (string | Buffer)[]): Promise<Reply>
  close(): Promise<void>
}

const COMMAND_MS_MAX = 2000
const CONNECT_MS_MAX = 5000
const RECONNECT_MS_MAX = 1000
const BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: COMMAND_MS_MAX } as const

/**
 * `redis://[user:password@]host:port[/db]`, `rediss://…` (TLS), `redis-cluster://host:port,host:port`, `redis-sentinel://host:port,host:port/primary-name`. TM_CONFIG_ONLINE, TM_ONLINE_UNAVAILABLE,
 * TM_ONLINE_EVICTION where the server may drop states by itself.
 */
export async function connectRedis(url: string): Promise<RedisConnection> {
  const client = await reached(url, WatchedClient.open(clients(url)))
  try {
    await refuseEviction(client)
  } catch (error) {
    await client.close()
    throw isTidemarkError(error) ? error : unavailable(error)
  }
  return {
    async send(key, command) {
      try {
        return await client.send(key, command)
      } catch (error) {
        throw failure(error)
      }
    },
    close: () => client.close(),
  }
}

/** Runs a script by its SHA-1, and by its text where the server does not know it. */
export async function runScript(
  connection: RedisConnection,
  { sha, source }: Script,
  keys: readonly Buffer[],
  values: readonly (string | Buffer)[],
): Promise<Reply> {
  const rest = [String(keys.length), ...keys, ...values]
  try {
    return await connection.send(keys[0], ['EVALSHA', sha, ...rest])
  } catch (error) {
    if (!(isTidemarkError(error) && String((error.cause as Error | undefined)?.message).startsWith('NOSCRIPT')))
      throw error
    return connection.send(keys[0], ['EVAL', source, ...rest])
  }
}

async function reached(url: string, opening: Promise<WatchedClient>): Promise<WatchedClient> {
  try {
    return await opening
  } catch (error) {
    if (isTidemarkError(error)) throw error
    throw failStore(
      'TM_ONLINE_UNAVAILABLE',
      `the online store ${withoutPassword(url)} cannot be reached (${messageOf(error)}): start it, or correct TIDEMARK_ONLINE`,
      { cause: error },
    )
  }
}

/** What makes a client of the topology that an address names. TM_CONFIG_ONLINE. */
function clients(url: string): () => Client {
  const socket = {
    connectTimeout: CONNECT_MS_MAX,
    reconnectStrategy: (retries: number) => Math.min(20 * 2 ** retries, RECONNECT_MS_MAX),
  }
  const scheme = url.slice(0, url.indexOf(':'))
  if (scheme === 'redis' || scheme === 'rediss') return () => singleClient(url, socket)
  const { nodes, path, credentials } = parsed(url)
  if (scheme === 'redis-cluster') return () => clusterClient(nodes, credentials, socket)
  if (scheme === 'redis-sentinel' && path !== '') return () => sentinelClient(nodes, path, credentials, socket)
  throw failStore(
    'TM_CONFIG_ONLINE',
    `TIDEMARK_ONLINE is ${withoutPassword(url)}: expected redis://, rediss://, redis-cluster://host:port,host:port or redis-sentinel://host:port/primary-name`,
  )
}

interface SocketOptions {
  readonly connectTimeout: number
  readonly reconnectStrategy: (retries: number) => number
}

interface Credentials {
  readonly username?: string
  readonly password?: string
}

function singleClient(url: string, { reconnectStrategy, connectTimeout }: SocketOptions): Client {
  let everConnected = false
  const client = createClient({
    url,
    RESP: 2,
    socket: {
      connectTimeout,
      // The first connection is tried once: a wrong address is told at once.
      reconnectStrategy: (retries, cause) => (everConnected ? reconnectStrategy(retries) : cause),
    },
  })
  client.on('error', () => {})
  return {
    async connect() {
      await client.connect()
      everConnected = true
    },
    send: (_, command) => client.sendCommand<Reply>(command, BYTES),
    everywhere: async (command) => [await client.sendCommand<Reply>(command)],
    close: () => client.close(),
    destroy: () => client.destroy(),
  }
}

function clusterClient(nodes: string[], credentials: Credentials, socket: SocketOptions): Client {
  const cluster = createCluster({
    rootNodes: nodes.map((node) => ({ url: `redis://${node}` })),
    defaults: { ...credentials, socket },
    RESP: 2,
  })
  cluster.on('error', () => {})
  return {
    async connect() {
      await cluster.connect()
    },
    send: (key, command) => cluster.sendCommand<Reply>(key, false, command, BYTES),
    everywhere: (command) =>
      Promise.all(cluster.masters.map(async (node) => (await cluster.nodeClient(node)).sendCommand<Reply>(command))),
    close: () => cluster.close(),
    destroy: () => cluster.destroy(),
  }
}

function sentinelClient(nodes: string[], name: string, credentials: Credentials, socket: SocketOptions): Client {
  const sentinel = createSentinel({
    name,
    sentinelRootNodes: nodes.map((node) => ({ host: node.slice(0, node.lastIndexOf(':')), port: portOf(node) })),
    nodeClientOptions: { ...credentials, socket },
    RESP: 2,
  })
  sentinel.on('error', () => {})
  return {
    async connect() {
      await sentinel.connect()
    },
    send: (_, command) => sentinel.sendCommand<Reply>(false, command, BYTES),
    everywhere: async (command) => [await sentinel.sendCommand<Reply>(false, command)],
    close: () => sentinel.close(),
    destroy: () => void sentinel.destroy().catch(() => {}),
  }
}

function portOf(node: string): number {
  return Number(node.slice(node.lastIndexOf(':') + 1))
}

/** Of a URL with several hosts, which `URL` does not take. */
function parsed(url: string): { nodes: string[]; path: string; credentials: Credentials } {
  const match = /^[a-z-]+:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/]+)\/?(.*)$/.exec(url)
  const [, username = '', password = '', hosts = '', path = ''] = match ?? []
  const nodes = hosts.split(',').filter((host) => host !== '')
  if (nodes.length === 0 || nodes.some((node) => !(portOf(node) > 0 && portOf(node) < 65536)))
    throw failStore(
      'TM_CONFIG_ONLINE',
      `TIDEMARK_ONLINE is ${withoutPassword(url)}: expected host:port,host:port after the scheme`,
    )
  const credentials = {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  }
  return { nodes, path, credentials }
}

/** A server that evicts keys loses states, and nothing tells. */
async function refuseEviction(client: WatchedClient): Promise<void> {
  for (const info of await client.everywhere(['INFO', 'memory'])) {
    const text = String(info)
    const policy = /^maxmemory_policy:(\S+)/m.exec(text)?.[1] ?? 'noeviction'
    const max = Number(/^maxmemory:(\d+)/m.exec(text)?.[1] ?? 0)
    if (policy === 'noeviction' || max === 0) continue
    throw failStore(
      'TM_ONLINE_EVICTION',
      `the online store's maxmemory-policy is ${policy}: at ${max} bytes it would drop states without a word; set it to noeviction`,
      { details: { policy, maxmemory: max } },
    )
  }
}

function failure(error: unknown): TidemarkError {
  if (error instanceof Error && error.message.startsWith('OOM '))
    return failStore(
      'TM_ONLINE_FULL',
      `the online store is at its maxmemory (${error.message}): raise it; nothing stored is lost, and work goes on from there`,
      { cause: error },
    )
  if (
    error instanceof ErrorReply &&
    !/^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|TRYAGAIN|NOSCRIPT|NOREPLICAS)/.test(error.message)
  )
    return failStore('TM_ONLINE_REFUSED', `the online store refused a command: ${error.message}`, { cause: error })
  return unavailable(error)
}

function unavailable(error: unknown): TidemarkError {
  return failStore(
    'TM_ONLINE_UNAVAILABLE',
    `the online store does not answer (${messageOf(error)}): it is tried again until it does`,
    { cause: error },
  )
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  return error instanceof Error ? error.message || error.constructor.name : String(error)
}
