import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { findPostgres, installed } from './installation.ts'
import { killWithParent } from './kill-with-parent.ts'
import type { SystemUser } from './kill-with-parent.ts'
import { reservePort } from './ports.ts'
import { ServerProcess } from './server-process.ts'
import { removeServiceFolder, serviceFolder } from './service-folder.ts'

export interface PostgresServer {
  /** Of the database `postgres`, as its superuser. */
  readonly url: string
  readonly process: ServerProcess
  readonly stop: () => Promise<void>
}

const USER = 'tidemark'
/**
 * No fsync: a process that is killed leaves its writes with the kernel, only a machine that stops would lose them. Everything else that
 * makes a commit durable stays on.
 */
const SETTINGS = {
  fsync: 'off',
  shared_buffers: '32MB',
  max_connections: 50,
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  unix_socket_directories: '',
  listen_addresses: '127.0.0.1',
}

/** A PostgreSQL server with a data folder of its own; as root it runs as another user, since it refuses root. */
export async function startPostgres(settings: Readonly<Record<string, string | number>> = {}): Promise<PostgresServer> {
  const { initdb, postgres } = installed(findPostgres(), 'PostgreSQL')
  const folder = serviceFolder('postgres')
  const data = join(folder, 'data')
  const port = await reservePort()
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres`
  const user = unprivilegedUser()
  const process = new ServerProcess({
    name: 'postgres',
    command: postgres,
    args: [
      '-D',
      data,
      '-p',
      String(port),
      ...Object.entries({ ...SETTINGS, ...settings }).map(([k, v]) => `--${k}=${v}`),
    ],
    user,
    // Ends the connections of clients; SIGTERM would wait for them.
    endSignal: 'SIGINT',
    logFile: join(folder, 'server.log'),
    ready: () => answers(url),
  })
  const stop = async (): Promise<void> => {
    await process.kill()
    removeServiceFolder(folder)
  }
  try {
    mkdirSync(data)
    if (user !== undefined) chownSync(data, user.uid, user.gid)
    const options = [
      '-D',
      data,
      '-U',
      USER,
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ]
    await promisify(execFile)(...killWithParent(initdb, options, user), { cwd: folder })
    await process.start()
  } catch (error) {
    await stop()
    throw error
  }
  return { url, process, stop }
}

async function answers(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  // A connection that breaks while it is closed is no concern of whoever asks.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => {})
  }
}

/** `postgres` if the system has it, else `nobody`; undefined unless this is root. */
function unprivilegedUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined
  const lines = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
  const line = ['postgres', 'nobody'].map((name) => lines.find(([first]) => first === name)).find((found) => found)
  if (line === undefined) throw new Error('PostgreSQL refuses root: expected a user postgres or nobody in /etc/passwd')
  return { uid: Number(line[2]), gid: Number(line[3]) }
}
