import { installKafka, installRegistry, installS3 } from './install-archives.ts'
import { installPackages } from './install-packages.ts'
import { SERVICES_FOLDER } from './installation.ts'

/**
 * `npm run services`: installs the servers of test/services that are missing; quick when none is.
 * `npm run -s services -- NAME…`: starts some of them in the foreground, says where they are, and ends them with Ctrl-C.
 */
const STARTS: Readonly<Record<string, () => Promise<object>>> = {
  kafka: async () => (await import('./kafka-cluster.ts')).startKafka(),
  'kafka-cluster': async () => (await import('./kafka-cluster.ts')).startKafka({ nodes: 3 }),
  redis: async () => (await import('./redis.ts')).startRedis(),
  'redis-cluster': async () => (await import('./redis-cluster.ts')).startRedisCluster({ replicas: 1 }),
  'redis-sentinel': async () => (await import('./redis-sentinel.ts')).startRedisSentinel(),
  postgres: async () => (await import('./postgres.ts')).startPostgres(),
  registry: async () => (await import('./schema-registry.ts')).startSchemaRegistry(),
  s3: async () => (await import('./s3.ts')).startS3(),
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !Object.hasOwn(STARTS, name))
if (unknown.length > 0) {
  console.error(`services: expected any of ${Object.keys(STARTS).join(', ')}, found '${unknown.join(' ')}'`)
  process.exit(2)
}
try {
  const start = performance.now()
  installPackages()
  await installKafka()
  await installRegistry()
  await installS3()
  if (names.length === 0) console.log(`services: all there in ${SERVICES_FOLDER} (${secondsSince(start)} s)`)
  for (const name of names) {
    const start = performance.now()
    console.log(`${name} ${JSON.stringify(addresses(await STARTS[name]()))} (${secondsSince(start)} s)`)
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
if (names.length > 0) {
  // The servers and their folders go when this process exits, which a signal alone would not make it do in order.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0))
  setInterval(() => {}, 1 << 30)
}

/** What a client has to know of a started server: no process, no function. */
function addresses(server: object): object {
  const asked = ['url', 'brokers', 'addresses', 'sentinels', 'primaryName', 'credentials']
  return Object.fromEntries(Object.entries(server).filter(([key]) => asked.includes(key)))
}

function secondsSince(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1)
}
