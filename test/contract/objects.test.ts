import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { openFileObjects } from '../../stores/objects/files/open.ts'
import { hasErrorCode, temporaryFolder } from '../support/folders.ts'
import { objectsContract } from './objects.contract.ts'

objectsContract('file objects', async (context) => {
  const path = await temporaryFolder(context)
  return { open: () => openFileObjects({ path }) }
})

test('file objects: a refused name, or a lost race, leaves no temporary file', async (context) => {
  const path = await temporaryFolder(context)
  const store = await openFileObjects({ path })
  await assert.rejects(store.create('../x', new Uint8Array(1)), hasErrorCode('TM_OBJECT_NAME'))
  await store.create('a', new Uint8Array(1))
  await store.create('a', new Uint8Array(2))
  await assert.rejects(store.create('a/b', new Uint8Array(1)))
  assert.deepEqual(await readdir(join(path, '.tmp')), [])
})
