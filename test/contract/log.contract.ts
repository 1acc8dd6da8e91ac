import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Log } from '../../stores/log/log.ts'
import { hasErrorCode } from '../support/folders.ts'

export interface LogFixture {
  /** A handle on the same store, empty at first; every call gives a new one, as another process would have. Closed by the fixture. */
  readonly open: () => Promise<Log>
}

export interface OwnClockFixture extends LogFixture {
  /** Sets what the store's clock says. */
  readonly setNow: (epochMs: number) => void
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

const valuesOf = async (log: Log, topic: string, partition = 0): Promise<number[][]> =>
  (await log.read(topic, partition, 0, 1 << 20)).map(({ value }) => [...value])

type Check<F> = (title: string, body: (log: Log, fixture: F) => Promise<void>) => void

function checks<F extends LogFixture>(
  name: string,
  fixture: (context: TestContext) => Promise<F>,
  skip: string | false,
): Check<F> {
  return (title, body) => {
    test(`${name}: ${title}`, { skip }, async (context) => {
      const store = await fixture(context)
      await body(await store.open(), store)
    })
  }
}

/** What every log adapter must do. */
export function logContract(
  name: string,
  fixture: (context: TestContext) => Promise<LogFixture>,
  skip: string | false = false,
): void {
  const check = checks(name, fixture, skip)

  check('a topic is created once; other options are refused; its identity outlives handles', async (log, { open }) => {
    const made = await log.createTopic('payments', { partitions: 4 })
    assert.match(made.incarnation, /^[0-9A-Za-z_-]{1,64}$/)
    assert.deepEqual(await log.createTopic('payments', { partitions: 4 }), made)
    await assert.rejects(log.createTopic('payments', { partitions: 2 }), hasErrorCode('TM_LOG_TOPIC_MISMATCH'))
    const other = await open()
    assert.deepEqual(await other.topic('payments'), made)
    assert.deepEqual(await other.listTopics(), [made])
    assert.equal(await other.topic('nothing'), null)
  })

  check('records come back in append order, byte for byte, by offset', async (log) => {
    await log.createTopic('a', { partitions: 2 })
    const first = await log.append('a', 1, [bytes(1), bytes(), bytes(0, 255)])
    const second = await log.append('a', 1, [bytes(4)])
    assert.ok(second.baseOffset > first.baseOffset + 2 && second.appendTime >= first.appendTime)
    const records = await log.read('a', 1, 0, 1 << 20)
    assert.deepEqual(
      records.map(({ value }) => [...value]),
      [[1], [], [0, 255], [4]],
    )
    assert.equal(records[3].offset, second.baseOffset)
    assert.equal(records[3].appendTime, second.appendTime)
    assert.equal(await log.endOffset('a', 1), second.baseOffset + 1)
    assert.equal(await log.startOffset('a', 1), first.baseOffset)
    assert.deepEqual(await log.read('a', 0, 0, 1 << 20), [])
    assert.deepEqual(await log.read('a', 1, second.baseOffset + 1, 1 << 20), [])
  })

  check('a read gives at least one record and stops near maxBytes', async (log) => {
    await log.createTopic('a', { partitions: 1 })
    await log.append('a', 0, [new Uint8Array(1000), new Uint8Array(1000), new Uint8Array(1000)])
    assert.equal((await log.read('a', 0, 0, 1)).length, 1)
    assert.equal((await log.read('a', 0, 0, 1 << 20)).length, 3)
    assert.ok((await log.read('a', 0, 0, 1500)).length < 3)
  })

  check('a value belongs to the caller: later reads and appends do not change it', async (log) => {
    await log.createTopic('a', { partitions: 1 })
    const sent = bytes(1, 2, 3)
    await log.append('a', 0, [sent, bytes(9, 9, 9)])
    sent.fill(7)
    const [held] = await log.read('a', 0, 0, 1)
    for (let i = 0; i < 50; i++) await log.append('a', 0, [new Uint8Array(3).fill(i)])
    await log.read('a', 0, 1, 1 << 20)
    assert.deepEqual([...held.value], [1, 2, 3])
  })

  check('a trim drops what lies below an offset; the end stays', async (log) => {
    await log.createTopic('a', { partitions: 2 })
    await log.append('a', 0, [bytes(1), bytes(2), bytes(3)])
    await log.append('a', 1, [bytes(7)])
    assert.equal(await log.trim('a', 0, 2), 2)
    assert.equal(await log.trim('a', 0, 2), 0)
    assert.equal(await log.startOffset('a', 0), 2)
    assert.deepEqual(
      (await log.read('a', 0, 0, 1 << 20)).map(({ offset, value }) => [offset, ...value]),
      [[2, 3]],
    )
    assert.equal(await log.trim('a', 0, 3), 1)
    assert.equal(await log.startOffset('a', 0), 3)
    assert.equal((await log.append('a', 0, [bytes(4)])).baseOffset, 3)
    assert.equal((await log.read('a', 1, 0, 1 << 20)).length, 1)
  })

  check('an unknown topic or partition is refused by every call', async (log) => {
    await log.createTopic('a', { partitions: 1 })
    for (const [topic, partition] of [
      ['b', 0],
      ['a', 1],
      ['a', -1],
    ] as const) {
      await assert.rejects(log.append(topic, partition, [bytes(1)]), hasErrorCode('TM_LOG_TOPIC_UNKNOWN'))
      await assert.rejects(log.read(topic, partition, 0, 1), hasErrorCode('TM_LOG_TOPIC_UNKNOWN'))
      await assert.rejects(log.endOffset(topic, partition), hasErrorCode('TM_LOG_TOPIC_UNKNOWN'))
    }
  })

  check('a topic made again is another one, for handles that knew the old one too', async (log, { open }) => {
    const other = await open()
    const old = await log.createTopic('a', { partitions: 1 })
    await other.append('a', 0, [bytes(1), bytes(2)])
    await log.deleteTopic('a')
    await log.deleteTopic('a')
    assert.equal(await other.topic('a'), null)
    await assert.rejects(other.append('a', 0, [bytes(3)]), hasErrorCode('TM_LOG_TOPIC_UNKNOWN'))
    const made = await log.createTopic('a', { partitions: 1 })
    assert.notEqual(made.incarnation, old.incarnation)
    assert.equal(await other.endOffset('a', 0), 0)
    await other.append('a', 0, [bytes(4)])
    assert.deepEqual(
      (await log.read('a', 0, 0, 1 << 20)).map(({ value }) => [...value]),
      [[4]],
    )
  })

  check('appends through several handles at once stay contiguous per call and lose nothing', async (log, { open }) => {
    await log.createTopic('a', { partitions: 1 })
    const handles = [log, await open(), await open()]
    const calls = handles.flatMap((handle, h) =>
      Array.from({ length: 30 }, (_, c) => handle.append('a', 0, [bytes(h, c, 0), bytes(h, c, 1), bytes(h, c, 2)])),
    )
    const results = await Promise.all(calls)
    const records = await log.read('a', 0, 0, 1 << 20)
    assert.equal(records.length, handles.length * 30 * 3)
    const at = new Map(records.map((record) => [record.offset, record.value]))
    results.forEach(({ baseOffset }, call) => {
      const expected = [Math.floor(call / 30), call % 30]
      for (let i = 0; i < 3; i++) assert.deepEqual([...(at.get(baseOffset + i) ?? [])], [...expected, i])
    })
  })

  check('appendAll appends to several partitions, results in order', async (log) => {
    await log.createTopic('a', { partitions: 2 })
    await log.createTopic('b', { partitions: 1 })
    await log.append('b', 0, [bytes(0)])
    const results = await log.appendAll([
      { topic: 'b', partition: 0, values: [bytes(1)] },
      { topic: 'a', partition: 1, values: [bytes(2), bytes(3)] },
      { topic: 'b', partition: 0, values: [bytes(4)] },
    ])
    assert.deepEqual(
      results.map(({ baseOffset }) => baseOffset),
      [1, 0, 2],
    )
    assert.equal(await log.endOffset('a', 1), 2)
  })

  check('a conditional append that comes too late appends nothing at all', async (log, { open }) => {
    await log.createTopic('a', { partitions: 1 })
    await log.createTopic('b', { partitions: 1 })
    await log.append('a', 0, [bytes(1)])
    const other = await open()
    const conditional = (ifEnd: number) => [
      { topic: 'b', partition: 0, values: [bytes(2)] },
      { topic: 'a', partition: 0, values: [bytes(3)], ifEnd },
    ]
    await assert.rejects(other.appendAll(conditional(0)), hasErrorCode('TM_LOG_CONFLICT'))
    assert.deepEqual(await valuesOf(log, 'b'), [])
    await other.appendAll(conditional(1))
    await assert.rejects(log.appendAll(conditional(1)), hasErrorCode('TM_LOG_CONFLICT'))
    assert.deepEqual(await valuesOf(log, 'a'), [[1], [3]])
    assert.deepEqual(await valuesOf(log, 'b'), [[2]])
    // An end is that of the records: what a store writes of its own behind the last one does not count.
    const [last] = (await log.read('a', 0, 0, 1 << 20)).slice(-1)
    const behind = [{ topic: 'a', partition: 0, values: [], ifEnd: last.offset + 1 }]
    await log.appendAll([...behind, { topic: 'b', partition: 0, values: [bytes(4)] }])
    assert.deepEqual(await valuesOf(other, 'b'), [[2], [4]])
  })

  check('of conditional appends that race, each is for the end that it saw', async (log, { open }) => {
    await log.createTopic('a', { partitions: 1 })
    await log.createTopic('b', { partitions: 2 })
    const handles = [log, await open(), await open()]
    await Promise.all(
      handles.map(async (handle, h) => {
        for (let mine = 0; mine < 4;) {
          const seen = await handle.read('a', 0, 0, 1 << 20)
          const values = [bytes(seen.length, h)]
          const ifEnd = (seen.at(-1)?.offset ?? -1) + 1
          try {
            await handle.appendAll([
              { topic: 'b', partition: h % 2, values },
              { topic: 'a', partition: 0, values, ifEnd },
            ])
            mine++
          } catch (error) {
            if (!hasErrorCode('TM_LOG_CONFLICT')(error as Error)) throw error
          }
        }
      }),
    )
    const found = await valuesOf(log, 'a')
    assert.deepEqual(
      found.map(([number]) => number),
      Array.from({ length: 12 }, (_, i) => i),
    )
    const elsewhere = [...(await valuesOf(log, 'b', 0)), ...(await valuesOf(log, 'b', 1))]
    assert.deepEqual(
      elsewhere.sort(([a], [b]) => a - b),
      found,
    )
  })

  check('a wait ends with an append since the mark by any handle, an abort or the timeout', async (log, { open }) => {
    await log.createTopic('a', { partitions: 1 })
    const other = await open()
    const watch = log.watch()
    await watch.mark()
    const woken = watch.wait(60_000)
    await other.append('a', 0, [bytes(1)])
    assert.equal(await woken, true)
    assert.equal((await log.read('a', 0, 0, 1)).length, 1)
    // Appended between the mark and the wait.
    await watch.mark()
    await other.append('a', 0, [bytes(2)])
    assert.equal(await watch.wait(60_000), true)
    await watch.mark()
    assert.equal(await watch.wait(5), false)
    const abort = new AbortController()
    const aborted = watch.wait(60_000, abort.signal)
    abort.abort()
    assert.equal(await aborted, false)
    assert.equal(await watch.wait(60_000, abort.signal), false)
    watch.close()
    watch.close()
  })

  check('a reading says where to go on; of a topic that was made anew it gives nothing', async (log, { open }) => {
    const { incarnation } = await log.createTopic('a', { partitions: 1 })
    const place = { topic: 'a', partition: 0, incarnation }
    const [{ baseOffset }] = [await log.append('a', 0, [bytes(1), bytes(2)])]
    const first = await log.readOn(place, baseOffset, 1)
    assert.deepEqual([first.records.length, first.nextOffset], [1, baseOffset + 1])
    const rest = await log.readOn(place, first.nextOffset, 1 << 20)
    assert.deepEqual([rest.records.map(({ value }) => [...value]), rest.nextOffset >= baseOffset + 2], [[[2]], true])
    assert.deepEqual(await log.readOn(place, rest.nextOffset, 1), { records: [], nextOffset: rest.nextOffset })
    const other = await open()
    await other.deleteTopic('a')
    await other.createTopic('a', { partitions: 1 })
    await other.append('a', 0, [bytes(3), bytes(4), bytes(5)])
    await assert.rejects(log.readOn(place, 0, 1 << 20), hasErrorCode('TM_LOG_TOPIC_UNKNOWN'))
  })

  check(
    'ends of several partitions are those of one moment: appends made together lie below all or none',
    async (log, { open }) => {
      for (const topic of ['a', 'b', 'guard']) await log.createTopic(topic, { partitions: 1 })
      const writer = await open()
      let isDone = false
      const written = (async () => {
        for (let i = 0; i < 40; i++)
          await writer.appendAll([
            { topic: 'a', partition: 0, values: [bytes(i)] },
            { topic: 'b', partition: 0, values: [bytes(i)] },
            { topic: 'guard', partition: 0, values: [], ifEnd: 0 },
          ])
        isDone = true
      })()
      while (!isDone) {
        const ends = await log.endOffsets(['b', 'a'].map((topic) => ({ topic, partition: 0 })))
        const below = async (topic: string, end: number): Promise<number> =>
          (await log.read(topic, 0, 0, 1 << 20)).filter(({ offset }) => offset < end).length
        assert.equal(await below('b', ends[0]), await below('a', ends[1]))
      }
      await written
    },
  )

  check('closing twice is harmless and the records are there after reopening', async (log, { open }) => {
    await log.createTopic('a', { partitions: 1 })
    await log.append('a', 0, [bytes(1)])
    await log.close()
    await log.close()
    assert.equal((await (await open()).read('a', 0, 0, 1)).length, 1)
  })
}

/** What a log must do besides whose clock is the deployment's own, and whose records can be changed where they stand. */
export function embeddedLogContract(name: string, fixture: (context: TestContext) => Promise<OwnClockFixture>): void {
  const check = checks(name, fixture, false)

  check('a rewrite changes or removes records and nothing else; absent ones are left out', async (log, fixture) => {
    await log.createTopic('a', { partitions: 2 })
    fixture.setNow(5000)
    await log.append('a', 0, [bytes(1), bytes(2), bytes(3)])
    await log.append('a', 1, [bytes(7)])
    fixture.setNow(6000)
    const reader = await fixture.open()
    await log.rewrite('a', 0, [
      { offset: 0, value: null },
      { offset: 1, value: bytes(8, 8) },
      { offset: 9, value: bytes(9) },
    ])
    const records = await reader.read('a', 0, 0, 1 << 20)
    assert.deepEqual(
      records.map(({ offset, appendTime, value }) => [offset, appendTime, ...value]),
      [
        [1, 5000, 8, 8],
        [2, 5000, 3],
      ],
    )
    assert.equal(await reader.endOffset('a', 0), 3)
    assert.equal(await reader.startOffset('a', 0), 1)
    assert.equal((await log.append('a', 0, [bytes(4)])).baseOffset, 3)
    assert.equal((await reader.read('a', 1, 0, 1 << 20)).length, 1)
  })

  check('append times never go back, even when the clock does', async (log, { setNow }) => {
    await log.createTopic('a', { partitions: 2 })
    setNow(5000)
    assert.equal((await log.append('a', 0, [bytes(1)])).appendTime, 5000)
    setNow(4000)
    assert.equal((await log.append('a', 0, [bytes(2)])).appendTime, 5000)
    assert.equal((await log.append('a', 1, [bytes(3)])).appendTime, 4000)
    assert.equal(log.now(), 4000)
  })

  check(
    'no append is stamped before the settled time, in any partition, by any handle, whatever its clock',
    async (log, fixture) => {
      await log.createTopic('a', { partitions: 2 })
      fixture.setNow(5000)
      assert.equal(await log.settledTime('a'), 5000)
      fixture.setNow(4000)
      const other = await fixture.open()
      assert.equal((await other.append('a', 1, [bytes(1)])).appendTime, 5000)
      assert.equal(await other.settledTime('a'), 5000)
      fixture.setNow(6000)
      assert.equal((await log.append('a', 1, [bytes(2)])).appendTime, 6000)
    },
  )

  check('a checkpoint is set with the records of its append, or not at all', async (log, { open }) => {
    if (log.checkpoints === null) return
    await log.createTopic('a', { partitions: 1 })
    assert.equal(await log.checkpoints.read('one'), null)
    await log.appendAll([{ topic: 'a', partition: 0, values: [bytes(1)] }], { name: 'one', value: bytes(7, 0, 255) })
    await log.appendAll([], { name: 'other', value: bytes() })
    const late = log.appendAll([{ topic: 'a', partition: 0, values: [bytes(2)], ifEnd: 0 }], {
      name: 'one',
      value: bytes(8),
    })
    await assert.rejects(late, hasErrorCode('TM_LOG_CONFLICT'))
    await assert.rejects(log.appendAll([{ topic: 'b', partition: 0, values: [] }], { name: 'one', value: bytes(9) }))
    const elsewhere = await open()
    assert.deepEqual(await elsewhere.checkpoints?.read('one'), bytes(7, 0, 255))
    assert.deepEqual(await elsewhere.checkpoints?.read('other'), bytes())
    assert.deepEqual(await elsewhere.listTopics(), [await elsewhere.topic('a')])
    assert.equal(await elsewhere.endOffset('a', 0), 1)
  })
}
