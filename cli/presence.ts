import { createHash } from 'node:crypto'
import { globSync, mkdirSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import type { WaitedFor } from './engine-waits.ts'
import type { RoleName } from './roles/role-messages.ts'

/** Longest path that a Unix socket takes on every system. */
const SOCKET_PATH_MAX = 100
const ANSWER_MS_MAX = 1000

export interface RoleState {
  readonly role: RoleName
  readonly state: 'starting' | 'running' | 'restarting' | 'stopped'
  readonly pid: number | null
  readonly restarts: number
  /** Why it stopped or was started anew, by code. */
  readonly error: { readonly code: string; readonly message: string } | null
  /** Engines that do not answer; it goes on when they do. */
  readonly waitsFor: readonly WaitedFor[]
}

/** A living process with roles on a data folder, as it describes itself on its socket. */
export interface Presence {
  readonly name: string
  readonly pid: number
  readonly startedAt: string
  readonly url: string | null
  readonly roles: readonly RoleState[]
}

/** Sockets stand in the data folder, or, where its path is too long for one, in the system's folder for temporary files. */
function socketFolder(dataFolder: string): string {
  const folder = join(resolve(dataFolder), 'run')
  if (folder.length <= SOCKET_PATH_MAX - 32) return folder
  return join(tmpdir(), `tidemark-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`)
}

/** Answers whoever connects with `describe()` as JSON, until closed. A socket that a killed process left is replaced. */
export async function holdPresence(
  dataFolder: string,
  name: string,
  describe: () => Omit<Presence, 'name' | 'pid' | 'startedAt'>,
): Promise<{ close(): Promise<void> }> {
  const folder = socketFolder(dataFolder)
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${name}.sock`)
  const startedAt = new Date().toISOString()
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(`${JSON.stringify({ name, pid: process.pid, startedAt, ...describe() } satisfies Presence)}\n`)
  })
  rmSync(path, { force: true })
  await new Promise<void>((ready, fail) => {
    server.once('error', fail)
    server.listen(path, ready)
  })
  server.unref()
  return {
    close: () => new Promise((closed) => server.close(() => closed())),
  }
}

/** Every process that runs roles on the data folder now. */
export async function livePresences(dataFolder: string): Promise<Presence[]> {
  const folder = socketFolder(dataFolder)
  const names = globSync('*.sock', { cwd: folder }).sort()
  const answers = await Promise.all(names.map((name) => ask(join(folder, basename(name)))))
  return answers.filter((answer) => answer !== null)
}

/** Whether a role is at work on the data folder (also: being started again). */
export async function isRoleRunning(dataFolder: string, role: RoleName): Promise<boolean> {
  const presences = await livePresences(dataFolder)
  return presences.some(({ roles }) => roles.some((held) => held.role === role && held.state !== 'stopped'))
}

/** Whether a `tidemark start` lives on the data folder. */
export async function isStarted(dataFolder: string): Promise<boolean> {
  return (await livePresences(dataFolder)).some(({ name }) => name === 'start')
}

async function ask(path: string): Promise<Presence | null> {
  return new Promise((answer) => {
    let text = ''
    const socket = connect(path)
    socket.setEncoding('utf8').setTimeout(ANSWER_MS_MAX, () => socket.destroy())
    socket.on('data', (chunk: string) => (text += chunk))
    socket.once('error', () => answer(null))
    socket.once('close', () => answer(parse(text)))
  })
}

function parse(text: string): Presence | null {
  try {
    return JSON.parse(text) as Presence
  } catch {
    return null
  }
}
