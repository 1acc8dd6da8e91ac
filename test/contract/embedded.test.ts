import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { openFileObjects } from '../../stores/objects/files/open.ts'
import { openLmdbOnline } from '../../stores/online/lmdb/open.ts'
import { logContract } from './log-contract.ts'
import { onlineContract } from './online-contract.ts'

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-store-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

logContract('embedded log', async (context, now) => {
  const path = folderOf(context)
  const openOne = async () => {
    const log = await openLmdbLog({ path, now })
    context.after(() => log.close())
    return log
  }
  return { log: await openOne(), reopen: openOne }
})

onlineContract('embedded online store', async (context) => {
  const store = await openLmdbOnline({ path: folderOf(context), now: () => 0 })
  context.after(() => store.close())
  return store
})

test('embedded objects: creation is exclusive, names are checked, listing is in order', async (context) => {
  const objects = await openFileObjects({ path: folderOf(context) })
  const one = Uint8Array.from([1])
  assert.equal(await objects.create('a/2', one), true)
  assert.equal(await objects.create('a/2', Uint8Array.from([2])), false)
  assert.deepEqual(await objects.read('a/2'), Buffer.from(one))
  const file = await objects.temporaryPath('.x')
  writeFileSync(file, 'x')
  assert.equal(await objects.createFromFile('a/1', file), true)
  assert.deepEqual(
    (await objects.list('a/')).map(({ name }) => name),
    ['a/1', 'a/2'],
  )
  assert.equal(await objects.read('none'), null)
  await assert.rejects(objects.localPath('none'), { code: 'TM_OBJECT_MISSING' })
  for (const name of ['../x', 'a//b', '', '/a', 'a/..', 'a b'])
    await assert.rejects(objects.create(name, one), { code: 'TM_OBJECT_NAME' })
})
