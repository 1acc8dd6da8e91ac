import assert from 'node:assert/strict'
import { readFile, utimes, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { ObjectStore } from '../../stores/objects/object-store.ts'
import { hasErrorCode } from '../support/folders.ts'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** What every object store adapter must do. `open` gives a new handle on the same store, closed by the fixture. */
export function objectsContract(
  name: string,
  fixture: (context: TestContext) => Promise<{ readonly open: () => Promise<ObjectStore> }>,
  skip: string | false = false,
): void {
  const check = (
    title: string,
    body: (store: ObjectStore, open: () => Promise<ObjectStore>) => Promise<void>,
  ): void => {
    test(`${name}: ${title}`, { skip }, async (context) => {
      const { open } = await fixture(context)
      await body(await open(), open)
    })
  }

  check('an object is made once; the loser changes nothing', async (store, open) => {
    assert.equal(await store.create('a/b=1/x.bin', text('first')), true)
    assert.equal(await (await open()).create('a/b=1/x.bin', text('second')), false)
    assert.deepEqual(new Uint8Array((await store.read('a/b=1/x.bin')) ?? []), text('first'))
    assert.equal(await store.read('a/b=1/y.bin'), null)
    assert.equal(await store.read('a/b=1/x.bin/under'), null)
  })

  check('of many that create one name at once, exactly one wins', async (store, open) => {
    const other = await open()
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? store : other).create('race', text(`writer ${i}`))),
    )
    assert.equal(results.filter(Boolean).length, 1)
    assert.deepEqual(new Uint8Array((await store.read('race')) ?? []), text(`writer ${results.indexOf(true)}`))
  })

  check('a finished file becomes an object; the file is gone either way', async (store) => {
    for (const expected of [true, false]) {
      const path = await store.temporaryPath('.parquet')
      assert.ok(path.endsWith('.parquet'))
      await writeFile(path, expected ? 'won' : 'lost')
      assert.equal(await store.createFromFile('f/1.parquet', path), expected)
      await assert.rejects(readFile(path))
    }
    assert.equal(await readFile(await store.localPath('f/1.parquet'), 'utf8'), 'won')
    await assert.rejects(store.localPath('f/2.parquet'), hasErrorCode('TM_OBJECT_MISSING'))
    await assert.rejects(store.localPath('f'), hasErrorCode('TM_OBJECT_MISSING'))
  })

  check('listing gives names by prefix, in name order, without temporary files', async (store) => {
    for (const object of ['p/10', 'p/9', 'p/sub/1', 'q/1', 'p.x']) await store.create(object, text(object))
    await writeFile(await store.temporaryPath('.part'), 'unfinished')
    const names = async (prefix: string): Promise<string[]> => (await store.list(prefix)).map((object) => object.name)
    assert.deepEqual(await names('p/'), ['p/10', 'p/9', 'p/sub/1'])
    assert.deepEqual(await names('p/1'), ['p/10'])
    assert.deepEqual(await names(''), ['p.x', 'p/10', 'p/9', 'p/sub/1', 'q/1'])
    assert.deepEqual(await names('nothing/'), [])
    const [object] = await store.list('q')
    assert.deepEqual({ ...object, createdAtMs: 0 }, { name: 'q/1', sizeBytes: 3, createdAtMs: 0 })
  })

  check('an object says when it appeared, not when its file was written', async (store) => {
    await store.create('before', text('1'))
    const path = await store.temporaryPath('.part')
    await writeFile(path, 'old')
    await utimes(path, 1, 1)
    await store.createFromFile('after', path)
    const [after, before] = await store.list('')
    assert.ok(after.createdAtMs >= before.createdAtMs, `${after.createdAtMs} < ${before.createdAtMs}`)
  })

  check('temporary files of killed processes go, those in use stay', async (store) => {
    const [left, used] = [await store.temporaryPath('.part'), await store.temporaryPath('.part')]
    for (const path of [left, used]) await writeFile(path, 'unfinished')
    await utimes(left, 1000, 1000)
    await store.deleteTemporary(2_000_000)
    await assert.rejects(readFile(left))
    assert.equal(await readFile(used, 'utf8'), 'unfinished')
  })

  check('a deleted object is gone and may be made again', async (store) => {
    await store.create('a', text('1'))
    await store.delete('a')
    await store.delete('a')
    assert.equal(await store.read('a'), null)
    assert.equal(await store.create('a', text('2')), true)
  })

  check('names outside the alphabet, or that climb, are refused by every call', async (store) => {
    for (const bad of ['', '/a', 'a/', 'a//b', '../a', 'a/../b', 'a/./b', 'a b', 'ä', 'a\\b', 'a\0']) {
      await assert.rejects(store.create(bad, text('x')), hasErrorCode('TM_OBJECT_NAME'), bad)
      await assert.rejects(store.read(bad), hasErrorCode('TM_OBJECT_NAME'), bad)
      await assert.rejects(store.delete(bad), hasErrorCode('TM_OBJECT_NAME'), bad)
    }
    await assert.rejects(store.list('../'), hasErrorCode('TM_OBJECT_NAME'))
    assert.deepEqual(await store.list(''), [])
  })
}
