import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { serviceFolder } from './service-folder.ts'
import { isShared, startOnce } from './shared-server.ts'

export interface ServiceHost {
  readonly path: string
  close(): Promise<void>
}

/** Answers the name of a shared server, a line of text, with its address as JSON; starts it if it is the first to ask. The servers end with this process. */
export async function openServiceHost(): Promise<ServiceHost> {
  const path = join(serviceFolder('host'), 'socket')
  const server = createServer((socket) => {
    // Who asked and died gets no answer.
    socket.on('error', () => {})
    createInterface({ input: socket }).once('line', (name) => void answer(socket, name))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  server.unref()
  return { path, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

async function answer(socket: Socket, name: string): Promise<void> {
  try {
    if (!isShared(name)) throw new Error(`no shared server '${name}'`)
    socket.end(JSON.stringify({ address: await startOnce(name) }))
  } catch (error) {
    socket.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }))
  }
}
