import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { openFileObjects } from '../../../stores/objects/files/open.ts'
import {
  archiveFileName,
  archiveFiles,
  archiveFooterText,
  readArchiveFooter,
} from '../../../stores/tables/archive-files.ts'
import type { ArchiveStores } from '../../../stores/tables/archive-files.ts'
import { openTables } from '../../../stores/tables/open-tables.ts'
import { sqlStruct, sqlText } from '../../../stores/tables/tables.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'

const PLACE = { keyedLog: 'payments.card', incarnation: 'i', partition: 0 }

async function openStores(context: TestContext): Promise<ArchiveStores> {
  const folder = await temporaryFolder(context)
  const tables = await openTables({ temporaryFolder: join(folder, 'duckdb') })
  context.after(() => tables.close())
  return { tables, objects: await openFileObjects({ path: join(folder, 'objects') }) }
}

async function writeFile(stores: ArchiveStores, level: number, first: number, last: number): Promise<string> {
  const path = await stores.objects.temporaryPath('.parquet')
  const footer = sqlStruct(archiveFooterText({ lastOffset: last, events: 1, origins: '' }))
  await stores.tables.execute(`COPY (SELECT 1 AS x) TO ${sqlText(path)} (FORMAT parquet, KV_METADATA ${footer})`)
  const name = archiveFileName(PLACE, level, first)
  await stores.objects.createFromFile(name, path)
  return name
}

async function ranges(stores: ArchiveStores, endOffset?: number): Promise<string[]> {
  return (await archiveFiles(stores, PLACE, endOffset)).map(
    ({ level, firstOffset, lastOffset }) => `l${level} ${firstOffset}-${lastOffset}`,
  )
}

test('of files that overlap, the highest level is the archive: no event twice, none missed', async (context) => {
  const stores = await openStores(context)
  for (const [first, last] of [
    [0, 4],
    [5, 5],
    [6, 9],
    [10, 12],
    [13, 30],
  ])
    await writeFile(stores, 0, first, last)
  assert.deepEqual(await ranges(stores), ['l0 0-4', 'l0 5-5', 'l0 6-9', 'l0 10-12', 'l0 13-30'])
  assert.deepEqual(await ranges(stores, 6), ['l0 0-4', 'l0 5-5'])
  await writeFile(stores, 1, 5, 12)
  assert.deepEqual(await ranges(stores), ['l0 0-4', 'l1 5-12', 'l0 13-30'])
  for (const first of [5, 6, 10]) await stores.objects.delete(archiveFileName(PLACE, 0, first))
  assert.deepEqual(await ranges(stores), ['l0 0-4', 'l1 5-12', 'l0 13-30'])
  assert.deepEqual(await ranges(stores, 8), ['l0 0-4', 'l1 5-12'])
})

test('a missing file and a file that is none are errors that name it', async (context) => {
  const stores = await openStores(context)
  await writeFile(stores, 0, 0, 4)
  await writeFile(stores, 0, 7, 9)
  await assert.rejects(archiveFiles(stores, PLACE), hasErrorCode('TM_ARCHIVE_DAMAGED'))
  await stores.objects.create(archiveFileName(PLACE, 0, 5), new TextEncoder().encode('not Parquet'))
  await assert.rejects(archiveFiles(stores, PLACE), hasErrorCode('TM_ARCHIVE_DAMAGED'))
  await assert.rejects(readArchiveFooter(stores, archiveFileName(PLACE, 0, 99)), hasErrorCode('TM_OBJECT_MISSING'))
})
