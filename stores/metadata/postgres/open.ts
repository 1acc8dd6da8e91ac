import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { failStore } from '../../errors.ts'
import { withoutPassword } from '../../without-password.ts'
import { KyselyMetadata } from '../kysely-metadata.ts'
import type { MetadataStore } from '../metadata-store.ts'
import { MIGRATIONS } from '../migrations.ts'
import type { SchemaDialect } from '../migrations.ts'
import type { MetadataTables } from '../tables.ts'
import { BoundedPool } from './bounded-pool.ts'
import { postgresDialect } from './dialect.ts'

const CONNECTIONS_MAX = 4
const CONNECT_MS_MAX = 5000
const BIGINT_OID = 20

const DIALECT: SchemaDialect = {
  text: sql`text collate "C"`,
  numbered: (column) => column.primaryKey().generatedAlwaysAsIdentity(),
}

/** The version of the schema; one row. */
const VERSION_TABLE = 'tidemark_schema'

/**
 * Opens a PostgreSQL database as the metadata store and makes its tables where they are not: `postgres://user:password@host:port/database`. Transactions follow one another, as in the embedded store.
 * TM_METADATA_UNAVAILABLE, TM_CONFIG_METADATA; TM_DATA_NEWER on a database of a newer version.
 */
export async function openPostgresMetadata(url: string): Promise<MetadataStore> {
  const pool = new BoundedPool({
    connectionString: checked(url),
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    application_name: 'tidemark',
    // Times and counts are safe integers.
    types: { getTypeParser: (oid, format) => (oid === BIGINT_OID ? Number : pg.types.getTypeParser(oid, format)) },
  })
  const db = new Kysely<MetadataTables>({ dialect: postgresDialect(pool) })
  try {
    await migrate(db, url)
  } catch (error) {
    await db.destroy()
    throw error
  }
  return new KyselyMetadata(db, () => lastTransaction(db), sql`(extract(epoch from clock_timestamp()) * 1000)::bigint`)
}

function checked(url: string): string {
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) return url
  throw failStore(
    'TM_CONFIG_METADATA',
    `TIDEMARK_METADATA is ${withoutPassword(url)}: expected postgres://user:password@host:port/database`,
  )
}

async function migrate(db: Kysely<MetadataTables>, url: string): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`create table if not exists ${sql.table(VERSION_TABLE)} (version integer not null)`.execute(transaction)
    const { rows } = await sql<{ version: number }>`select version from ${sql.table(VERSION_TABLE)}`.execute(
      transaction,
    )
    const version = rows[0]?.version ?? 0
    if (version > MIGRATIONS.length)
      throw failStore(
        'TM_DATA_NEWER',
        `${withoutPassword(url)} has schema ${version}, this version knows ${MIGRATIONS.length}: upgrade Tidemark, or use another database`,
      )
    for (const migration of MIGRATIONS.slice(version))
      await migration(transaction as unknown as Kysely<unknown>, DIALECT)
    if (rows.length === 0)
      await sql`insert into ${sql.table(VERSION_TABLE)} values (${MIGRATIONS.length})`.execute(transaction)
    else await sql`update ${sql.table(VERSION_TABLE)} set version = ${MIGRATIONS.length}`.execute(transaction)
  })
}

/** Grows with every transaction of the server that changes something. */
async function lastTransaction(db: Kysely<MetadataTables>): Promise<number> {
  const { rows } = await sql<{
    last: number
  }>`select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as last`.execute(db)
  return rows[0].last
}
