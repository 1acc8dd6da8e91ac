import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { BucketFlush, OnlineStore } from '../../stores/online/online-store.ts'

const VIEW = 'ab'.repeat(32)
const OTHER = 'cd'.repeat(32)
const KEY = Uint8Array.from([1, 2])
const owner = { incarnation: 'i-1', views: 'v' }
const bucket = { keyedLog: 'payments.card', bucket: 300 }

function flushOf(change: Partial<BucketFlush>): BucketFlush {
  const writes = [{ view: VIEW, key: KEY, state: Uint8Array.from([7]) }]
  return {
    ...bucket,
    epoch: 1,
    views: 'v',
    expectedOffset: 0,
    nextOffset: 5,
    origins: Uint8Array.from([9]),
    writes,
    ...change,
  }
}

async function stateOf(store: OnlineStore): Promise<number[] | null> {
  const [{ states }] = await store.read([{ ...bucket, keys: [{ view: VIEW, key: KEY }] }])
  return states[0] === null ? null : [...states[0]]
}

/** What every online store must do. */
export function onlineContract(name: string, open: (context: TestContext) => Promise<OnlineStore>): void {
  test(`${name}: a flush writes states and marker together; a read gives both`, async (context) => {
    const store = await open(context)
    assert.equal((await store.claim(bucket.keyedLog, [bucket.bucket], owner))[0].epoch, 1)
    assert.deepEqual(await store.flush([flushOf({})]), ['applied'])
    const [{ marker, states }] = await store.read([
      {
        ...bucket,
        keys: [
          { view: VIEW, key: KEY },
          { view: OTHER, key: KEY },
        ],
      },
    ])
    assert.equal(marker?.nextOffset, 5)
    assert.deepEqual([...(marker?.origins ?? [])], [9])
    assert.deepEqual(
      states.map((state) => state && [...state]),
      [[7], null],
    )
  })
  test(`${name}: a flush by a stale owner, for other views or at another offset changes nothing`, async (context) => {
    const store = await open(context)
    await store.claim(bucket.keyedLog, [bucket.bucket], owner)
    assert.equal((await store.claim(bucket.keyedLog, [bucket.bucket], owner))[0].epoch, 2)
    assert.deepEqual(await store.flush([flushOf({})]), ['stale-epoch'])
    assert.deepEqual(await store.flush([flushOf({ epoch: 2, views: 'w' })]), ['other-views'])
    assert.deepEqual(await store.flush([flushOf({ epoch: 2, expectedOffset: 3 })]), ['other-offset'])
    assert.equal(await stateOf(store), null)
    assert.deepEqual(await store.flush([flushOf({ epoch: 2 })]), ['applied'])
    assert.deepEqual(await stateOf(store), [7])
  })
  test(`${name}: another incarnation of the log is refused`, async (context) => {
    const store = await open(context)
    await store.claim(bucket.keyedLog, [bucket.bucket], owner)
    await assert.rejects(store.claim(bucket.keyedLog, [bucket.bucket], { ...owner, incarnation: 'i-2' }), {
      code: 'TM_ONLINE_INCARNATION',
    })
  })
  test(`${name}: views change only at the expected epoch and offset, and fence the old owner`, async (context) => {
    const store = await open(context)
    await store.claim(bucket.keyedLog, [bucket.bucket], owner)
    assert.equal(await store.changeViews(bucket, { epoch: 1, nextOffset: 4 }, 'w'), 'other-offset')
    assert.equal(await store.changeViews(bucket, { epoch: 1, nextOffset: 0 }, 'w'), 'applied')
    assert.deepEqual(await store.flush([flushOf({})]), ['stale-epoch'])
  })
  test(`${name}: scan gives the states of one view in key order; dropView removes them only`, async (context) => {
    const store = await open(context)
    await store.claim(bucket.keyedLog, [bucket.bucket], owner)
    const write = (view: string, key: number) => ({ view, key: Uint8Array.from([key]), state: Uint8Array.from([key]) })
    await store.flush([flushOf({ writes: [write(VIEW, 3), write(VIEW, 1), write(OTHER, 2)] })])
    const keys = async (view: string): Promise<number[]> =>
      (await Array.fromAsync(store.scan(bucket, view))).map(({ key }) => key[0])
    assert.deepEqual(await keys(VIEW), [1, 3])
    await store.dropView(bucket.keyedLog, VIEW)
    assert.deepEqual(await keys(VIEW), [])
    assert.deepEqual(await keys(OTHER), [2])
  })
  test(`${name}: a key that is too long is refused with a code, and nothing of its flush is written`, async (context) => {
    const store = await open(context)
    await store.claim(bucket.keyedLog, [bucket.bucket], owner)
    const long = { view: VIEW, key: new Uint8Array(5000), state: Uint8Array.from([1]) }
    await assert.rejects(store.flush([flushOf({ writes: [...flushOf({}).writes, long] })]), { code: 'TM_KEY_TOO_LONG' })
    assert.equal(await stateOf(store), null)
  })
}
