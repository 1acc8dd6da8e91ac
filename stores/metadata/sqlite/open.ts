import { mkdirSync, statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely, sql } from 'kysely'
import { failStore } from '../../errors.ts'
import { diskFull } from '../../store-failure.ts'
import { KyselyMetadata } from '../kysely-metadata.ts'
import type { MetadataStore } from '../metadata-store.ts'
import { MIGRATIONS } from '../migrations.ts'
import type { SchemaDialect } from '../migrations.ts'
import type { MetadataTables } from '../tables.ts'
import { nodeSqliteDialect } from './dialect.ts'

const BUSY_MS = 10_000
/** What SQLite needs beside a database to open it. */
const ROOM_BYTES = 128 << 10

const DIALECT: SchemaDialect = { text: sql`text`, numbered: (column) => column.primaryKey().autoIncrement() }

/** Opens (or makes) the embedded metadata store. Several processes may have it open. TM_DATA_NEWER on a database of a newer version. */
export async function openSqliteMetadata(path: string): Promise<MetadataStore> {
  mkdirSync(dirname(path), { recursive: true })
  const database = openDatabase(path)
  const db = new Kysely<MetadataTables>({ dialect: nodeSqliteDialect(database) })
  try {
    await migrate(database, db, path)
  } catch (error) {
    await db.destroy()
    throw error
  }
  const version = database.prepare('pragma data_version')
  return new KyselyMetadata(
    db,
    async () => Number(version.get()?.data_version),
    sql`cast(unixepoch('subsec') * 1000 as integer)`,
  )
}

function openDatabase(path: string): DatabaseSync {
  try {
    const database = new DatabaseSync(path)
    database.exec(`pragma busy_timeout = ${BUSY_MS}; pragma journal_mode = wal; pragma synchronous = full`)
    return database
  } catch (cause) {
    // Where it cannot even make the files beside a database, SQLite does not say why.
    const { bavail, bsize } = statfsSync(dirname(path))
    if (bavail * bsize >= ROOM_BYTES) throw cause
    throw diskFull(`${dirname(path)} has no room`, cause)
  }
}

async function migrate(database: DatabaseSync, db: Kysely<MetadataTables>, path: string): Promise<void> {
  const readVersion = (): number => Number(database.prepare('pragma user_version').get()?.user_version ?? 0)
  if (readVersion() === MIGRATIONS.length) return
  await db.transaction().execute(async (transaction) => {
    const version = readVersion()
    if (version > MIGRATIONS.length) {
      throw failStore(
        'TM_DATA_NEWER',
        `${path} has schema ${version}, this version knows ${MIGRATIONS.length}: upgrade Tidemark, or use another data folder`,
      )
    }
    for (const migration of MIGRATIONS.slice(version))
      await migration(transaction as unknown as Kysely<unknown>, DIALECT)
    database.exec(`pragma user_version = ${MIGRATIONS.length}`)
  })
}
