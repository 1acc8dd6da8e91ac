import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'

/** Where clients find each server that the tests share. */
export interface SharedAddresses {
  readonly kafka: { readonly brokers: readonly string[] }
  readonly redis: { readonly url: string; readonly port: number }
  readonly redisCluster: { readonly addresses: readonly { readonly host: string; readonly port: number }[] }
  readonly postgres: { readonly url: string }
  readonly registry: { readonly url: string }
  readonly s3: {
    readonly url: string
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  }
}
export type SharedName = keyof SharedAddresses

/** The socket of the process that starts servers for the whole test run (service-host.ts). */
export const HOST_VARIABLE = 'TIDEMARK_SERVICE_HOST'

/** Loaded when asked for: most test runs need some of the clients only. */
const STARTS: { readonly [Name in SharedName]: () => Promise<SharedAddresses[Name]> } = {
  kafka: async () => (await import('./kafka-cluster.ts')).startKafka(),
  redis: async () => (await import('./redis.ts')).startRedis(),
  redisCluster: async () => (await import('./redis-cluster.ts')).startRedisCluster(),
  postgres: async () => (await import('./postgres.ts')).startPostgres(),
  registry: async () => (await import('./schema-registry.ts')).startSchemaRegistry(),
  s3: async () => (await import('./s3.ts')).startS3(),
}

const started = new Map<SharedName, Promise<unknown>>()

/**
 * A server for tests that do it no harm, started by the first who asks: once per `npm test`, or once per process where a test file runs
 * alone. Others use it at the same time: use names of topics, keys and buckets that nobody else has, and never kill it.
 */
export function sharedServer<Name extends SharedName>(name: Name): Promise<SharedAddresses[Name]> {
  const host = process.env[HOST_VARIABLE]
  return host === undefined ? startOnce(name) : (askHost(host, name) as Promise<SharedAddresses[Name]>)
}

export function startOnce<Name extends SharedName>(name: Name): Promise<SharedAddresses[Name]> {
  const running = started.get(name) ?? STARTS[name]()
  started.set(name, running)
  return running as Promise<SharedAddresses[Name]>
}

export function isShared(name: string): name is SharedName {
  return Object.hasOwn(STARTS, name)
}

async function askHost(path: string, name: SharedName): Promise<unknown> {
  const socket = createConnection({ path })
  socket.write(`${name}\n`)
  const answer = JSON.parse(await text(socket)) as { address?: unknown; error?: string }
  if (answer.error !== undefined) throw new Error(answer.error)
  return answer.address
}
