import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { Log } from '../../stores/log/log.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (value: Uint8Array): string => new TextDecoder().decode(value)

/** What every log adapter must do. `open` gives a log on fresh storage, `reopen` another on the same storage. */
export function logContract(
  name: string,
  open: (context: TestContext, now: () => number) => Promise<{ log: Log; reopen: () => Promise<Log> }>,
): void {
  test(`${name}: appends are contiguous, ordered and read back from any offset, by another handle too`, async (context) => {
    const { log, reopen } = await open(context, () => 1000)
    await log.createTopic('t', { partitions: 2 })
    assert.deepEqual(await log.append('t', 1, [bytes('a'), bytes('b')]), { baseOffset: 0, appendTime: 1000 })
    assert.equal((await log.append('t', 1, [bytes('c')])).baseOffset, 2)
    const other = await reopen()
    assert.deepEqual(
      (await other.read('t', 1, 1, 1 << 20)).map(({ offset, value }) => [offset, text(value)]),
      [
        [1, 'b'],
        [2, 'c'],
      ],
    )
    assert.deepEqual(await other.read('t', 1, 3, 1 << 20), [])
    assert.deepEqual(await other.read('t', 0, 0, 1 << 20), [])
    assert.equal((await log.read('t', 1, 0, 1)).length, 1)
    assert.equal(await other.endOffset('t', 1), 3)
    assert.equal(await other.startOffset('t', 1), 0)
  })
  test(`${name}: append time never goes down within a partition`, async (context) => {
    let now = 5000
    const { log } = await open(context, () => now)
    await log.createTopic('t', { partitions: 1 })
    await log.append('t', 0, [bytes('a')])
    now = 4000
    assert.equal((await log.append('t', 0, [bytes('b')])).appendTime, 5000)
  })
  test(`${name}: a topic keeps its partitions and incarnation; made anew it has another`, async (context) => {
    const { log } = await open(context, () => 0)
    const made = await log.createTopic('t', { partitions: 2 })
    assert.deepEqual(await log.createTopic('t', { partitions: 2 }), made)
    await assert.rejects(log.createTopic('t', { partitions: 3 }), { code: 'TM_LOG_TOPIC_MISMATCH' })
    await assert.rejects(log.append('none', 0, []), { code: 'TM_LOG_TOPIC_UNKNOWN' })
    await log.append('t', 0, [bytes('a')])
    await log.deleteTopic('t')
    assert.equal(await log.topic('t'), null)
    assert.notEqual((await log.createTopic('t', { partitions: 2 })).incarnation, made.incarnation)
    assert.deepEqual(await log.read('t', 0, 0, 100), [])
  })
  test(`${name}: waitForAppend ends at an append, at its timeout and at an abort`, async (context) => {
    const { log } = await open(context, () => 0)
    await log.createTopic('t', { partitions: 1 })
    await log.waitForAppend('t', 0, 0, 5)
    await log.waitForAppend('t', 0, 0, 60_000, AbortSignal.timeout(5))
    const waiting = log.waitForAppend('t', 0, 0, 60_000)
    await log.append('t', 0, [bytes('a')])
    await waiting
  })
}
