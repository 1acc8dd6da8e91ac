import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { ENTITY_KEY_BYTES_MAX } from '../../stores/online/online-store.ts'
import type { BucketFlush, OnlineStore, Marker } from '../../stores/online/online-store.ts'
import { hasErrorCode } from '../support/folders.ts'

export interface OnlineFixture {
  /** A handle on the same store; every call gives a new one, as another process would have. Closed by the fixture. */
  readonly open: () => Promise<OnlineStore>
  readonly setNow: (epochMs: number) => void
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const VIEW = 'ab'.repeat(32)
const OTHER_VIEW = 'cd'.repeat(32)
const OWNER = { incarnation: 'one', views: 'v1' }
const LOG = 'payments.card'

function flushOf(change: Partial<BucketFlush> = {}): BucketFlush {
  return {
    keyedLog: LOG,
    bucket: 3,
    epoch: 1,
    views: 'v1',
    expectedOffset: 0,
    nextOffset: 5,
    origins: bytes(9, 8),
    writes: [],
    ...change,
  }
}

/** A write of an open part alone; null deletes the state. */
const put = (key: Uint8Array, open: Uint8Array | null, view = VIEW) => ({
  view,
  key,
  state: open === null ? null : { open },
})

async function partsOf(store: OnlineStore, key: Uint8Array, view = VIEW, bucket = 3) {
  const [{ states }] = await store.read([{ keyedLog: LOG, bucket, keys: [{ view, key }] }])
  const [state] = states
  return state === null ? null : { open: [...state.open], sealed: state.sealed === null ? null : [...state.sealed] }
}

async function stateOf(store: OnlineStore, key: Uint8Array, view = VIEW, bucket = 3): Promise<number[] | null> {
  return (await partsOf(store, key, view, bucket))?.open ?? null
}

/** What every online store adapter must do. */
export function onlineContract(
  name: string,
  fixture: (context: TestContext) => Promise<OnlineFixture>,
  skip: string | false = false,
): void {
  const check = (title: string, body: (store: OnlineStore, fixture: OnlineFixture) => Promise<void>): void => {
    test(`${name}: ${title}`, { skip }, async (context) => {
      const online = await fixture(context)
      await body(await online.open(), online)
    })
  }

  check('claiming makes markers at offset 0 and bumps the epoch each time', async (store) => {
    assert.deepEqual(await store.markers(LOG, [3, 255]), [null, null])
    const [made, last] = await store.claim(LOG, [3, 255], OWNER)
    assert.deepEqual(
      { ...made, origins: [...made.origins] },
      { ...OWNER, epoch: 1, nextOffset: 0, origins: [], flushTime: 0, revision: 1 },
    )
    assert.equal(last.epoch, 1)
    assert.equal((await store.claim(LOG, [3], OWNER))[0].epoch, 2)
    assert.deepEqual(
      (await store.markers(LOG, [255, 3, 4])).map((marker) => marker?.epoch ?? null),
      [1, 2, null],
    )
  })

  check('a claim for another incarnation halts and claims nothing', async (store) => {
    await store.claim(LOG, [4], OWNER)
    const other = { incarnation: 'two', views: 'v1' }
    await assert.rejects(store.claim(LOG, [3, 4], other), hasErrorCode('TM_ONLINE_INCARNATION'))
    assert.deepEqual(
      (await store.markers(LOG, [3, 4])).map((marker) => marker?.epoch ?? null),
      [null, 1],
    )
  })

  check(
    'a flush writes states and marker; other handles read both from one snapshot',
    async (store, { open, setNow }) => {
      const reader = await open()
      await store.claim(LOG, [3], OWNER)
      setNow(7000)
      const writes = [put(bytes(1), bytes(10, 11)), put(bytes(1), bytes(12), OTHER_VIEW), put(bytes(2), bytes())]
      assert.deepEqual(await store.flush([flushOf({ writes })]), ['applied'])
      const keys = [...writes, { view: VIEW, key: bytes(3) }]
      const [{ marker, states }] = await reader.read([{ keyedLog: LOG, bucket: 3, keys }])
      assert.deepEqual(
        states.map((state) => (state === null ? null : [...state.open])),
        [[10, 11], [12], [], null],
      )
      assert.deepEqual(marker === null ? null : { ...marker, origins: [...marker.origins] }, {
        ...OWNER,
        epoch: 1,
        nextOffset: 5,
        origins: [9, 8],
        flushTime: 7000,
        revision: 2,
      })
    },
  )

  check('states that a known marker covers are left out until anything under it changes', async (store, { open }) => {
    await store.claim(LOG, [3], OWNER)
    await store.flush([flushOf({ writes: [put(bytes(1), bytes(7))] })])
    const reader = await open()
    const keys = [{ view: VIEW, key: bytes(1) }]
    const ask = async (known?: Marker | null) => {
      const [{ marker, states, unchanged = false }] = await reader.read([{ keyedLog: LOG, bucket: 3, keys, known }])
      return { marker, open: states.map((state) => (state === null ? null : [...state.open])), unchanged }
    }
    const first = await ask(null)
    assert.deepEqual([first.open, first.unchanged], [[[7]], false])
    const again = await ask(first.marker)
    assert.deepEqual([again.marker, again.open, again.unchanged], [first.marker, [], true])
    // The same offset within the same millisecond: only the revision tells.
    await store.flush([flushOf({ expectedOffset: 5, nextOffset: 5, writes: [put(bytes(1), bytes(8))] })])
    const changed = await ask(first.marker)
    assert.deepEqual([changed.open, changed.unchanged], [[[8]], false])
    await store.claim(LOG, [3], OWNER)
    assert.equal((await ask(changed.marker)).unchanged, false)
  })

  check(
    'changes of a marker are stamped in their order and never before a settled time, whatever the clock says',
    async (store, { open, setNow }) => {
      const other = await open()
      const timeOf = async (): Promise<number | undefined> => (await store.markers(LOG, [3]))[0]?.flushTime
      await store.claim(LOG, [3], OWNER)
      setNow(7000.9)
      await store.flush([flushOf()])
      setNow(6000)
      await other.flush([flushOf({ expectedOffset: 5, nextOffset: 6 })])
      assert.equal(await timeOf(), 7000)
      setNow(9000)
      const { time, markers } = await other.settledMarkers(LOG, [4, 3])
      assert.deepEqual([time, markers[0], markers[1]?.nextOffset], [9000, null, 6])
      setNow(8000)
      assert.equal((await store.settledMarkers(LOG, [3])).time, 9000)
      await store.flush([flushOf({ expectedOffset: 6, nextOffset: 7 })])
      assert.equal(await timeOf(), 9000)
      // Leaving and joining are changes too.
      setNow(9001)
      await store.leave([{ ...flushOf(), view: VIEW, live: { epoch: 1, views: 'v1' }, views: '' }])
      assert.equal(await timeOf(), 9001)
      setNow(9002)
      const moved = { ...flushOf(), view: VIEW, live: { epoch: 2, views: '' }, epoch: 2, views: 'v1' }
      assert.deepEqual(await store.join([moved]), ['applied'])
      assert.equal(await timeOf(), 9002)
    },
  )

  check('null deletes; an empty flush moves the marker alone', async (store) => {
    await store.claim(LOG, [3], OWNER)
    await store.flush([flushOf({ writes: [put(bytes(1), bytes(1))] })])
    await store.flush([flushOf({ expectedOffset: 5, nextOffset: 6 })])
    assert.deepEqual(await stateOf(store, bytes(1)), [1])
    await store.flush([flushOf({ expectedOffset: 6, nextOffset: 7, writes: [put(bytes(1), null)] })])
    assert.equal(await stateOf(store, bytes(1)), null)
    assert.equal((await store.markers(LOG, [3]))[0]?.nextOffset, 7)
  })

  check('a sealed part stays until it is written or deleted; null deletes both parts', async (store) => {
    await store.claim(LOG, [3], OWNER)
    const key = bytes(1)
    const steps = [
      { state: { open: bytes(1), sealed: bytes(7, 7) }, expected: { open: [1], sealed: [7, 7] } },
      { state: { open: bytes(2) }, expected: { open: [2], sealed: [7, 7] } },
      { state: { open: bytes(3), sealed: bytes() }, expected: { open: [3], sealed: [] } },
      { state: { open: bytes(4), sealed: bytes(8) }, expected: { open: [4], sealed: [8] } },
      { state: { open: bytes(5), sealed: null }, expected: { open: [5], sealed: null } },
      { state: { open: bytes(6), sealed: bytes(9) }, expected: { open: [6], sealed: [9] } },
      { state: null, expected: null },
      { state: { open: bytes(7) }, expected: { open: [7], sealed: null } },
    ]
    for (const [i, { state, expected }] of steps.entries()) {
      const flush = flushOf({ expectedOffset: i, nextOffset: i + 1, writes: [{ view: VIEW, key, state }] })
      assert.deepEqual(await store.flush([flush]), ['applied'])
      assert.deepEqual(await partsOf(store, key), expected)
    }
  })

  check('a flush that is fenced off changes nothing, and each bucket is decided on its own', async (store) => {
    await store.claim(LOG, [3, 4], OWNER)
    await store.claim(LOG, [4], OWNER)
    const writes = [put(bytes(1), bytes(1))]
    const outcomes = await store.flush([
      flushOf({ bucket: 5, writes }),
      flushOf({ bucket: 4, writes }),
      flushOf({ views: 'v2', writes }),
      flushOf({ expectedOffset: 1, writes }),
      flushOf({ bucket: 4, epoch: 2, writes }),
    ])
    assert.deepEqual(outcomes, ['stale-epoch', 'stale-epoch', 'other-views', 'other-offset', 'applied'])
    assert.equal(await stateOf(store, bytes(1)), null)
    assert.deepEqual(await stateOf(store, bytes(1), VIEW, 4), [1])
    assert.equal((await store.markers(LOG, [3]))[0]?.nextOffset, 0)
    assert.deepEqual(await store.flush([flushOf({ writes }), flushOf({ writes })]), ['applied', 'other-offset'])
  })

  check('a key that is too long is refused before anything is written', async (store) => {
    await store.claim(LOG, [3], OWNER)
    const writes = [put(bytes(1), bytes(1)), put(new Uint8Array(5000), bytes(1))]
    await assert.rejects(store.flush([flushOf({ writes })]), hasErrorCode('TM_KEY_TOO_LONG'))
    assert.equal(await stateOf(store, bytes(1)), null)
    const long = new Uint8Array(ENTITY_KEY_BYTES_MAX).fill(255)
    assert.deepEqual(await store.flush([flushOf({ writes: [put(long, bytes(7))] })]), ['applied'])
    assert.deepEqual(await stateOf(store, long), [7])
  })

  check('a scan gives one view of one bucket in key order, whatever else happens meanwhile', async (store) => {
    await store.claim(LOG, [3, 4], OWNER)
    const keys = [bytes(), bytes(0), bytes(1, 2), bytes(255), new Uint8Array(20).fill(255)]
    const withSealed = (key: Uint8Array) => ({ view: VIEW, key, state: { open: bytes(key.length), sealed: key } })
    const noise = [put(bytes(9), bytes(9), OTHER_VIEW), put(bytes(9), bytes(9), 'ff'.repeat(32))]
    await store.flush([
      flushOf({ writes: [...keys.toReversed().map(withSealed), ...noise] }),
      flushOf({ bucket: 4, writes: [put(bytes(5), bytes(5))] }),
    ])
    const found: { key: number[]; open: number[]; sealed: number[] | null }[] = []
    for await (const { key, state } of store.scan({ keyedLog: LOG, bucket: 3 }, VIEW)) {
      const sealed = state.sealed === null ? null : [...state.sealed]
      found.push({ key: [...key], open: [...state.open], sealed })
      await store.claim(LOG, [4], OWNER)
      await stateOf(store, bytes(1, 2))
    }
    assert.deepEqual(
      found,
      keys.map((key) => ({ key: [...key], open: [key.length], sealed: [...key] })),
    )
  })

  check('a view version outside the live set has a marker of its own, which fences its flushes', async (store) => {
    await store.claim(LOG, [3], OWNER)
    assert.deepEqual(await store.markers(LOG, [3], VIEW), [null])
    const claim = { keyedLog: LOG, bucket: 3, view: VIEW, incarnation: 'one', live: 1 }
    const [own, stale] = await store.claimBackfill([claim, { ...claim, bucket: 4 }])
    assert.deepEqual([own?.epoch, own?.views, own?.nextOffset, stale], [1, VIEW, 0, null])
    const backfill = flushOf({ backfill: VIEW, views: VIEW, nextOffset: 8, writes: [put(bytes(1), bytes(1))] })
    assert.deepEqual(await store.flush([{ ...backfill, epoch: 2 }, backfill, backfill]), [
      'stale-epoch',
      'applied',
      'other-offset',
    ])
    assert.equal((await store.markers(LOG, [3]))[0]?.nextOffset, 0)
    assert.equal((await store.markers(LOG, [3], VIEW))[0]?.nextOffset, 8)
    assert.deepEqual(await stateOf(store, bytes(1)), [1])
    assert.deepEqual(await store.claimBackfill([{ ...claim, live: 2 }]), [null])
    assert.deepEqual(await store.claimBackfill([{ ...claim, live: null }]), [null])
    assert.equal((await store.claimBackfill([claim]))[0]?.epoch, 2)
    const other = { ...claim, incarnation: 'two' }
    await assert.rejects(store.claimBackfill([other]), hasErrorCode('TM_ONLINE_INCARNATION'))
  })

  check(
    'a version joins where both markers are as expected at one offset; older flushes are then fenced off',
    async (store) => {
      await store.claim(LOG, [3], OWNER)
      await store.claim(LOG, [3], OWNER)
      await store.claimBackfill([{ keyedLog: LOG, bucket: 3, view: VIEW, incarnation: 'one', live: 2 }])
      const move = { keyedLog: LOG, bucket: 3, view: VIEW, live: { epoch: 2, views: 'v1' }, epoch: 1, views: 'v2' }
      await store.flush([flushOf({ epoch: 2 })])
      assert.deepEqual(await store.join([move]), ['other-offset'])
      await store.flush([flushOf({ backfill: VIEW, views: VIEW, writes: [put(bytes(1), bytes(1))] })])
      assert.deepEqual(
        await store.join([
          { ...move, live: { epoch: 1, views: 'v1' } },
          { ...move, live: { epoch: 2, views: 'v0' } },
          { ...move, live: null },
          { ...move, epoch: 2 },
          { ...move, bucket: 9 },
        ]),
        ['stale-epoch', 'other-views', 'stale-epoch', 'stale-epoch', 'stale-epoch'],
      )
      assert.deepEqual(await store.join([move, move]), ['applied', 'stale-epoch'])
      const [marker] = await store.markers(LOG, [3])
      assert.deepEqual([marker?.views, marker?.epoch, marker?.nextOffset], ['v2', 3, 5])
      assert.deepEqual(await store.markers(LOG, [3], VIEW), [null])
      assert.deepEqual(await stateOf(store, bytes(1)), [1])
      const late = flushOf({ epoch: 2, expectedOffset: 5, nextOffset: 6 })
      assert.deepEqual(await store.flush([late, { ...late, backfill: VIEW, epoch: 1, views: VIEW }]), [
        'stale-epoch',
        'stale-epoch',
      ])
    },
  )

  check('a version brings its position into a live set that is empty or was never made', async (store) => {
    await store.claim(LOG, [4], { incarnation: 'one', views: '' })
    for (const bucket of [3, 4]) {
      const epoch = bucket === 3 ? null : 1
      await store.claimBackfill([{ keyedLog: LOG, bucket, view: VIEW, incarnation: 'one', live: epoch }])
      await store.flush([flushOf({ bucket, backfill: VIEW, views: VIEW, nextOffset: 7 })])
      const live = bucket === 3 ? null : { epoch: 1, views: '' }
      const move = { keyedLog: LOG, bucket, view: VIEW, live, epoch: 1, views: 'v1' }
      assert.deepEqual(await store.join([move]), ['applied'])
      const [marker] = await store.markers(LOG, [bucket])
      assert.deepEqual([marker?.views, marker?.epoch, marker?.nextOffset], ['v1', 2, 7])
      assert.deepEqual([...(marker?.origins ?? [])], [9, 8])
    }
  })

  check('a version that leaves is parked where the live set stands, and can join again', async (store) => {
    await store.claim(LOG, [3], OWNER)
    await store.flush([flushOf({ writes: [put(bytes(1), bytes(1))] })])
    const move = { keyedLog: LOG, bucket: 3, view: VIEW, live: { epoch: 1, views: 'v1' }, views: '' }
    assert.deepEqual(
      await store.leave([
        { ...move, live: null },
        { ...move, live: { epoch: 2, views: 'v1' } },
        { ...move, live: { epoch: 1, views: 'v0' } },
        move,
      ]),
      ['stale-epoch', 'stale-epoch', 'other-views', 'applied'],
    )
    const [live] = await store.markers(LOG, [3])
    const [own] = await store.markers(LOG, [3], VIEW)
    assert.deepEqual([live?.views, live?.epoch, live?.nextOffset], ['', 2, 5])
    assert.deepEqual([own?.views, own?.epoch, own?.nextOffset, ...(own?.origins ?? [])], [VIEW, 2, 5, 9, 8])
    assert.deepEqual(await store.flush([flushOf({ expectedOffset: 5, nextOffset: 6 })]), ['stale-epoch'])
    assert.deepEqual(await stateOf(store, bytes(1)), [1])
    assert.deepEqual(await store.join([{ ...move, live: { epoch: 2, views: '' }, epoch: 2, views: 'v1' }]), ['applied'])
    assert.deepEqual((await store.markers(LOG, [3]))[0]?.epoch, 3)
  })

  check(
    'dropping a parked version takes its own marker and states, in that bucket of that keyed log alone',
    async (store, { open }) => {
      const other = await open()
      const elsewhere = 'payments.card2'
      const ids = [
        { keyedLog: LOG, bucket: 3 },
        { keyedLog: LOG, bucket: 255 },
        { keyedLog: elsewhere, bucket: 3 },
      ]
      const writes = [
        { view: VIEW, key: bytes(1), state: { open: bytes(1), sealed: bytes(3) } },
        put(bytes(1), bytes(2), OTHER_VIEW),
      ]
      for (const id of ids) {
        await store.claim(id.keyedLog, [id.bucket], OWNER)
        await store.flush([flushOf({ ...id, writes })])
        await store.leave([{ ...id, view: VIEW, live: { epoch: 1, views: 'v1' }, views: 'v2' }])
      }
      const parked = { ...ids[0], view: VIEW, epoch: 2 }
      const outcomes = await other.drop([
        { ...parked, epoch: 1 },
        { ...parked, view: OTHER_VIEW, epoch: 2 },
        parked,
        parked,
      ])
      assert.deepEqual(outcomes, ['stale-epoch', 'stale-epoch', 'applied', 'stale-epoch'])
      assert.deepEqual(
        (await store.markers(LOG, [3, 255], VIEW)).map((marker) => marker?.epoch ?? null),
        [null, 2],
      )
      for (const [i, id] of ids.entries()) {
        const [{ states }] = await store.read([{ ...id, keys: writes }])
        assert.deepEqual(
          states.map((state) => state?.open[0] ?? null),
          [i === 0 ? null : 1, 2],
        )
      }
      const late = {
        backfill: VIEW,
        views: VIEW,
        epoch: 2,
        expectedOffset: 5,
        nextOffset: 6,
        writes: [put(bytes(1), bytes(4))],
      }
      assert.deepEqual(await store.flush([flushOf(late)]), ['stale-epoch'])
      assert.equal(await partsOf(store, bytes(1)), null)
    },
  )

  check('a version begins without what it left behind', async (store) => {
    await store.claim(LOG, [3], OWNER)
    await store.flush([flushOf({ writes: [put(bytes(1), bytes(1)), put(bytes(1), bytes(2), OTHER_VIEW)] })])
    await store.claimBackfill([{ keyedLog: LOG, bucket: 3, view: VIEW, incarnation: 'one', live: 1 }])
    assert.equal(await stateOf(store, bytes(1)), null)
    assert.deepEqual(await stateOf(store, bytes(1), OTHER_VIEW), [2])
    await store.flush([flushOf({ backfill: VIEW, views: VIEW, writes: [put(bytes(1), bytes(7))] })])
    await store.claimBackfill([{ keyedLog: LOG, bucket: 3, view: VIEW, incarnation: 'one', live: 1 }])
    assert.deepEqual(await stateOf(store, bytes(1)), [7])
  })
}
