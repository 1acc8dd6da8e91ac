import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { findRedis, installed } from './installation.ts'
import { ServerProcess } from './server-process.ts'

/** A redis-server with its own folder and configuration file, which Redis itself may rewrite. */
export class RedisNode extends ServerProcess {
  readonly port: number

  constructor(name: string, folder: string, port: number, settings: Readonly<Record<string, string | number>>) {
    mkdirSync(folder, { recursive: true })
    const file = join(folder, 'redis.conf')
    const all = { bind: '127.0.0.1', port, dir: folder, daemonize: 'no', ...settings }
    writeFileSync(
      file,
      Object.entries(all)
        .map(([key, value]) => `${key} ${value}\n`)
        .join(''),
    )
    super({
      name: `redis ${name}`,
      command: installed(findRedis(), 'redis-server'),
      args: [file, ...(name.startsWith('sentinel') ? ['--sentinel'] : [])],
      logFile: join(folder, 'server.log'),
      ready: async () => {
        const answer = await redisCommand(port, 'PING')
        if (answer !== 'PONG') throw new Error(`PING is answered by ${String(answer)}`)
      },
    })
    this.port = port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  command(...args: readonly (string | number)[]): Promise<unknown> {
    return redisCommand(this.port, ...args)
  }
}

/** Every write is in the file before it is answered, so that kill -9 loses none. */
export const APPEND_ONLY = { appendonly: 'yes', appendfsync: 'everysec', save: '""' }

async function redisCommand(port: number, ...args: readonly (string | number)[]): Promise<unknown> {
  const client = new Redis({
    host: '127.0.0.1',
    port,
    lazyConnect: true,
    retryStrategy: () => null,
    enableReadyCheck: false,
  })
  // The call itself fails too.
  client.on('error', () => {})
  try {
    await client.connect()
    return await client.call(String(args[0]), ...args.slice(1))
  } finally {
    client.disconnect()
  }
}
