import { join } from 'node:path'
import { reservePort } from './ports.ts'
import { APPEND_ONLY, RedisNode } from './redis-node.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'

export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly node: RedisNode
  /** Its data, for a test that puts an older snapshot back. */
  readonly folder: string
  readonly stop: () => Promise<void>
}

/** One redis-server with an append-only file; settings as in redis.conf. */
export async function startRedis(settings: Readonly<Record<string, string | number>> = {}): Promise<RedisServer> {
  const folder = serviceFolder('redis')
  const port = await reservePort()
  const data = join(folder, 'standalone')
  const node = new RedisNode('standalone', data, port, { ...APPEND_ONLY, ...settings })
  const stop = async (): Promise<void> => {
    await node.kill()
    removeServiceFolder(folder)
  }
  try {
    await node.start()
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `redis://127.0.0.1:${port}`, port, node, folder: data, stop }
}
