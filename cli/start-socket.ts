import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server } from 'node:net'
import { join } from 'node:path'
import { failCli } from './errors.ts'

const socketPath = (dataFolder: string): string => join(dataFolder, 'start.sock')

/** Whether a `tidemark start` lives on this data folder. A socket left by a killed process does not count. */
export async function isRunning(dataFolder: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath(dataFolder))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Marks this process as the one that serves the data folder. TM_ALREADY_RUNNING. */
export async function holdStartSocket(dataFolder: string): Promise<Server> {
  if (await isRunning(dataFolder))
    throw failCli(
      'TM_ALREADY_RUNNING',
      `another \`tidemark start\` serves ${dataFolder}: use it, stop it, or use another project folder`,
    )
  rmSync(socketPath(dataFolder), { force: true })
  const server = createServer((socket) => socket.end())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(socketPath(dataFolder), resolve)
  })
  return server
}
