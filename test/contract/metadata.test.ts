import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Client } from 'pg'
import { openPostgresMetadata } from '../../stores/metadata/postgres/open.ts'
import type { MetadataStore } from '../../stores/metadata/metadata-store.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { freshDatabase } from '../services/fresh-database.ts'
import { missing } from '../services/installation.ts'
import { hasErrorCode, temporaryFolder } from '../support/folders.ts'
import { incrementAtOnce, metadataContract } from './metadata.contract.ts'
import type { MetadataFixture } from './metadata.contract.ts'

const skip = missing('postgres')

function opening(context: TestContext, open: () => Promise<MetadataStore>): MetadataFixture {
  const opened: MetadataStore[] = []
  context.after(async () => {
    for (const store of opened) await store.close()
  })
  return {
    async open() {
      const store = await open()
      opened.push(store)
      return store
    },
  }
}

metadataContract('SQLite metadata', async (context) => {
  const path = join(await temporaryFolder(context), 'metadata.sqlite')
  return opening(context, () => openSqliteMetadata(path))
})

metadataContract(
  'PostgreSQL metadata',
  async (context) => {
    const url = await freshDatabase(context)
    return opening(context, () => openPostgresMetadata(url))
  },
  skip,
)

test('PostgreSQL metadata: transactions of several processes follow one another', { skip }, async (context) => {
  const url = await freshDatabase(context)
  const { open } = opening(context, () => openPostgresMetadata(url))
  const handles = [await open(), await open(), await open()]
  await incrementAtOnce(handles)
  assert.equal(await handles[1].readProgress('count', 'n'), 24)
})

test(
  'a PostgreSQL database of a newer version, one that is not there and a wrong address are refused',
  { skip },
  async (context) => {
    const url = await freshDatabase(context)
    const [one, two] = await Promise.all([openPostgresMetadata(url), openPostgresMetadata(url)])
    await one.close()
    await two.close()
    const client = new Client({ connectionString: url })
    await client.connect()
    await client.query('update tidemark_schema set version = 999')
    await client.end()
    await assert.rejects(openPostgresMetadata(url), hasErrorCode('TM_DATA_NEWER'))
    await assert.rejects(openPostgresMetadata('postgres://127.0.0.1:1/x'), hasErrorCode('TM_METADATA_UNAVAILABLE'))
    await assert.rejects(openPostgresMetadata('mysql://x'), hasErrorCode('TM_CONFIG_METADATA'))
  },
)
