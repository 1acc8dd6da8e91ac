import { Socket } from 'node:net'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { failStore } from '../../errors.ts'

/** A query that is not answered in this time ends its connection: its server hangs, or the network to it is cut. None of ours takes a tenth of that. */
const QUERY_MS_MAX = 10_000
/** What does not end in this time when the pool is closed is cut off. */
const END_MS_MAX = 1000

/** A pool of connections that nobody waits for without end. Failures of the server are told as what they are: TM_METADATA_UNAVAILABLE. */
export class BoundedPool implements PostgresPool {
  readonly options = {}
  readonly #pool: pg.Pool
  readonly #sockets = new Set<Socket>()

  constructor(config: pg.PoolConfig) {
    this.#pool = new pg.Pool({ ...config, stream: () => this.#socket() })
    // A connection that breaks while nobody uses it is made anew when somebody does.
    this.#pool.on('error', () => {})
    // One that breaks under a query fails that query; to say it a second time, to nobody, would end the process.
    this.#pool.on('connect', (client) => client.on('error', () => {}))
  }

  async connect(): Promise<PostgresPoolClient> {
    return bounded(await told(() => this.#pool.connect()))
  }

  async end(): Promise<void> {
    const timer = setTimeout(() => this.#sockets.forEach((socket) => socket.destroy()), END_MS_MAX)
    await this.#pool.end().finally(() => clearTimeout(timer))
  }

  #socket(): Socket {
    const socket = new Socket()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    return socket
  }
}

function bounded(client: pg.PoolClient): PostgresPoolClient {
  // Under TLS too: what a client writes to.
  const { stream } = (client as unknown as { readonly connection: { readonly stream: Socket } }).connection
  const query = (sql: string, parameters: readonly unknown[]): Promise<unknown> =>
    told(async () => {
      const timer = setTimeout(() => stream.destroy(new Error(`no answer for ${QUERY_MS_MAX / 1000} s`)), QUERY_MS_MAX)
      return client.query(sql, [...parameters]).finally(() => clearTimeout(timer))
    })
  // A client that broke is not used again: the pool sees to that.
  return { query: query as PostgresPoolClient['query'], release: (destroy) => client.release(destroy) }
}

/** SQLSTATE classes of a server that is going down, coming up, or has no room; and what sockets say. */
const PASSING = /^(08|57P|53)|^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|NOTFOUND|AI_AGAIN)/
const PASSING_WORDS = /timeout|terminated|closed|no answer|not queryable/i

async function told<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const message = error instanceof Error ? error.message : String(error)
    if (!PASSING.test(code) && !(code === '' && PASSING_WORDS.test(message))) throw error
    throw failStore(
      'TM_METADATA_UNAVAILABLE',
      `the metadata store (PostgreSQL) does not answer (${message || code}): it is tried again until it does`,
      { cause: error },
    )
  }
}
