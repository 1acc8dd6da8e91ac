import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RowCache } from '../../../inference/row-cache.ts'

const bytesOf = (): number => 10

test('entries that are asked for stay, others go, and the size stays bounded', () => {
  const cache = new RowCache<number>(1000)
  for (let i = 0; i < 10_000; i++) {
    cache.set(`k${i}`, i, 10)
    assert.equal(cache.get('k0', bytesOf), 0, `k0 is gone after ${i}`)
    assert.ok(cache.size <= 110, `${cache.size} entries of 10 bytes`)
  }
  assert.equal(cache.get('k1', bytesOf), undefined)
  assert.equal(cache.get('k9999', bytesOf), 9999)
})

test('an entry that grew counts', () => {
  const cache = new RowCache<number>(1000)
  cache.set('a', 1, 10)
  cache.grew(600)
  cache.set('b', 2, 10)
  cache.grew(600)
  assert.equal(cache.get('a', bytesOf), undefined)
})

test('no memory, no entries', () => {
  const cache = new RowCache<number>(0)
  cache.set('a', 1, 10)
  assert.equal(cache.get('a', bytesOf), undefined)
})
