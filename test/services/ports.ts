import { createServer } from 'node:net'
import type { ListenOptions, Server } from 'node:net'

/** Below the range from which Linux takes the ports of outgoing connections: a server that is down finds its port free again. */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000

const held: Server[] = []

/**
 * A port of 127.0.0.1 that nothing listens on. On Linux no other test process gets it as long as this one lives: an
 * abstract socket of the same number holds the place also while the server is down.
 */
export async function reservePort(): Promise<number> {
  for (let tries = 0; tries < 1000; tries++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    const probe = await listen({ port, host: '127.0.0.1', exclusive: true })
    if (probe === undefined) continue
    await new Promise((resolve) => probe.close(resolve))
    if (process.platform !== 'linux') return port
    const place = await listen({ path: `\0tidemark-test-port-${port}` })
    if (place === undefined) continue
    place.unref()
    held.push(place)
    return port
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT} on 127.0.0.1`)
}

export async function reservePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await reservePort())
  return ports
}

function listen(at: ListenOptions): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen(at, () => resolve(server))
  })
}
