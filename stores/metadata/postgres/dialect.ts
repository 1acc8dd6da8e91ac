import { CompiledQuery, PostgresAdapter, PostgresDriver, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import type { DatabaseConnection, Dialect, QueryResult, TransactionSettings } from 'kysely'
import type { Pool } from 'pg'
import { failStore } from '../../errors.ts'

/** The same in every process: transactions of a deployment follow one another. */
const TRANSACTION_LOCK = 0x746d

/** Kysely over a pool of connections: transactions one at a time over all processes, and failures of the server told as what they are. */
export function postgresDialect(pool: Pool): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new SerialPostgresDriver({ pool }),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

class SerialPostgresDriver extends PostgresDriver {
  /** As held by Kysely, and as it came from the pool. */
  readonly #held = new Map<DatabaseConnection, DatabaseConnection>()

  override async acquireConnection(): Promise<DatabaseConnection> {
    const inner = await told(() => super.acquireConnection())
    const outer = new ToldConnection(inner)
    this.#held.set(outer, inner)
    return outer
  }

  override async beginTransaction(connection: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    await super.beginTransaction(connection, settings)
    await connection.executeQuery(CompiledQuery.raw(`select pg_advisory_xact_lock(${TRANSACTION_LOCK})`))
  }

  override async releaseConnection(connection: DatabaseConnection): Promise<void> {
    const inner = this.#held.get(connection)
    this.#held.delete(connection)
    if (inner !== undefined) await super.releaseConnection(inner as never)
  }
}

class ToldConnection implements DatabaseConnection {
  readonly #inner: DatabaseConnection

  constructor(inner: DatabaseConnection) {
    this.#inner = inner
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return told(() => this.#inner.executeQuery<R>(query))
  }

  streamQuery<R>(query: CompiledQuery, chunkSize?: number): AsyncIterableIterator<QueryResult<R>> {
    return this.#inner.streamQuery<R>(query, chunkSize ?? 100)
  }
}

/** SQLSTATE classes of a server that is going down, coming up, or has no room; and what sockets say. */
const PASSING = /^(08|57P|53)|^E(CONN|PIPE|TIMEDOUT|HOSTUNREACH|NOTFOUND|AI_AGAIN)/
const PASSING_WORDS = /timeout|terminated|closed/i

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
