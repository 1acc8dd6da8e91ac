import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { openS3Objects } from '../../stores/objects/s3/open.ts'
import type { ObjectStore } from '../../stores/objects/object-store.ts'
import { freshBucket } from '../services/fresh-bucket.ts'
import { missing } from '../services/installation.ts'
import { sharedServer } from '../services/shared-server.ts'
import { hasErrorCode, temporaryFolder } from '../support/folders.ts'
import { objectsContract } from './objects.contract.ts'

const skip = missing('s3')

objectsContract('S3 objects', freshBucket, skip)

test('S3 objects: a large file goes in parts, once; a loser leaves no upload behind', { skip }, async (context) => {
  const { name, client, open } = await freshBucket(context)
  const store = await open()
  const bytes = randomBytes(40 << 20)
  for (const expected of [true, false]) {
    const path = await store.temporaryPath('.part')
    await writeFile(path, expected ? bytes : randomBytes(20 << 20))
    assert.equal(await store.createFromFile('large', path), expected)
    await assert.rejects(readFile(path))
  }
  assert.ok(bytes.equals((await store.read('large')) ?? Buffer.alloc(0)))
  assert.ok(bytes.equals(await readFile(await store.localPath('large'))))
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: name }))
  assert.deepEqual(Uploads, [])
})

test('S3 objects: a copy for engines is of the content of now', { skip }, async (context) => {
  const store = await (await freshBucket(context)).open()
  await store.create('a', Buffer.from('one'))
  const first = await store.localPath('a')
  assert.equal(await store.localPath('a'), first)
  await store.delete('a')
  await store.create('a', Buffer.from('two'))
  assert.equal(await readFile(await store.localPath('a'), 'utf8'), 'two')
})

test(
  'S3 objects: a bucket that is not there, a server that is not there and a wrong address are told',
  { skip },
  async (context) => {
    const { url: endpoint } = await sharedServer('s3')
    const folder = await temporaryFolder(context)
    const opening = (url: string): Promise<ObjectStore> => openS3Objects({ url, folder })
    await assert.rejects(opening(`s3://nothing-here?endpoint=${endpoint}`), hasErrorCode('TM_OBJECTS_REFUSED'))
    await assert.rejects(
      opening('s3://nothing-here?endpoint=http://127.0.0.1:1'),
      hasErrorCode('TM_OBJECTS_UNAVAILABLE'),
    )
    for (const wrong of ['s3://', 's3://UPPER', 'http://bucket', 's3://bucket?x=1', 's3://bucket?endpoint=localhost'])
      await assert.rejects(opening(wrong), hasErrorCode('TM_CONFIG_OBJECTS'), wrong)
  },
)
