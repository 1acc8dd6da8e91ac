import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { OnlineStore } from '../../stores/online/online-store.ts'
import type { OnlineFixture } from './online.contract.ts'

const LOG = 'payments.card'
const VIEW = 'ab'.repeat(32)
const OTHER_VIEW = 'cd'.repeat(32)
const BUILT = 'ef'.repeat(32)
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

/** What every online store adapter must do when history is changed. */
export function onlineRewriteContract(
  name: string,
  fixture: (context: TestContext) => Promise<OnlineFixture>,
  skip: string | false = false,
): void {
  const title = 'a rewrite replaces states, drops versions outside the live set, forgets a key, and fences the owner'
  test(`${name}: ${title}`, { skip }, async (context) => {
    const store = await (await fixture(context)).open()
    const [key, other, gone] = [bytes(1), bytes(2), bytes(3)]
    const stateOf = async (of: Uint8Array, view = VIEW): Promise<number[] | null> => {
      const [{ states }] = await store.read([{ keyedLog: LOG, bucket: 3, keys: [{ view, key: of }] }])
      return states[0] === null ? null : [...states[0].open, ...(states[0].sealed ?? [])]
    }
    const put = (of: Uint8Array, open: Uint8Array, view = VIEW) => ({ view, key: of, state: { open } })
    const flush = (expectedOffset: number, writes: Parameters<OnlineStore['flush']>[0][number]['writes']) =>
      store.flush([
        {
          keyedLog: LOG,
          bucket: 3,
          epoch: 1,
          views: 'v1',
          expectedOffset,
          nextOffset: expectedOffset + 5,
          origins: bytes(),
          writes,
        },
      ])
    await store.claim(LOG, [3], { incarnation: 'one', views: 'v1' })
    await flush(0, [put(key, bytes(1)), put(other, bytes(2)), put(gone, bytes(3)), put(gone, bytes(4), OTHER_VIEW)])
    const [live] = await store.markers(LOG, [3])
    await store.claimBackfill([{ keyedLog: LOG, bucket: 3, view: BUILT, incarnation: 'one', live: 1 }])
    const rewrite = {
      keyedLog: LOG,
      bucket: 3,
      expectedOffset: 5,
      writes: [
        { view: VIEW, key, state: { open: bytes(9), sealed: bytes(8) } },
        { view: VIEW, key: other, state: null },
      ],
      forget: gone,
    }
    assert.deepEqual(await store.rewrite([{ ...rewrite, expectedOffset: 4 }]), ['other-offset'])
    assert.deepEqual(await stateOf(key), [1])
    assert.deepEqual(await store.rewrite([rewrite]), ['applied'])
    assert.deepEqual(await stateOf(key), [9, 8])
    for (const [of, view] of [
      [other, VIEW],
      [gone, VIEW],
      [gone, OTHER_VIEW],
    ] as const)
      assert.equal(await stateOf(of, view), null)
    assert.deepEqual(await store.markers(LOG, [3], BUILT), [null])
    const [after] = await store.markers(LOG, [3])
    assert.deepEqual([after?.epoch, after?.nextOffset], [(live?.epoch ?? 0) + 1, 5])
    assert.ok((after?.revision ?? 0) > (live?.revision ?? 0))
    assert.deepEqual(await flush(5, []), ['stale-epoch'])
    assert.deepEqual(await store.rewrite([{ keyedLog: LOG, bucket: 4, expectedOffset: null, writes: [] }]), ['applied'])
  })
}
