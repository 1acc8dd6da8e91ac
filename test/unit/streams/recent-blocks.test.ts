import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AppendResult } from '../../../stores/log/log.ts'
import { RecentBlocks } from '../../../streams/blocks/recent-blocks.ts'
import type { Block } from '../../../streams/blocks/block.ts'
import { Random, runSeed } from '../../support/random.ts'

const ROUNDS = 300

function block(length: number): Block {
  const none = { sequenceOffset: new Float64Array(length), sequenceIndex: new Int32Array(length) }
  const times = { eventTime: new Float64Array(length), arrival: new Float64Array(length) }
  return { origin: 'o', previous: { offset: -1, index: -1 }, length, columns: [], ...none, ...times }
}

const append = (events = 1): Parameters<RecentBlocks['add']>[0] => [
  { topic: 'keyed.a', partition: 0, values: [], block: block(events) },
]
const at = (baseOffset: number, emptyFrom = baseOffset): AppendResult[] => [{ baseOffset, emptyFrom, appendTime: 7 }]

test('blocks with marks of transactions between them are taken on end, those behind another record are not', () => {
  const recent = new RecentBlocks()
  recent.add(append(), at(4))
  recent.add(append(), at(6, 5))
  recent.add(append(), at(9, 9))
  const offsets = (from: number): number[] => recent.take('keyed.a', 0, from).map(({ offset }) => offset)
  assert.deepEqual(offsets(3), [], 'what is at 3 is not known')
  assert.deepEqual(offsets(4), [4, 6])
  assert.deepEqual(offsets(7), [], 'something may be at 8')
  assert.deepEqual(offsets(9), [9])
  assert.deepEqual(offsets(9), [], 'each once')
})

test('a reader of blocks and log sees every record once and in order, whoever appends', () => {
  const random = new Random(runSeed('recent blocks'))
  for (let round = 0; round < ROUNDS; round++) {
    const recent = new RecentBlocks()
    const log: number[] = []
    const read: number[] = []
    let end = 0
    let known: number | null = null
    let next = 0
    for (let step = 0; step < 40; step++) {
      const kind = random.below(4)
      if (kind === 0) {
        // Another process, and then its mark.
        log.push(end)
        end += 1 + random.below(2)
        known = null
      } else if (kind === 1) end++
      else if (kind === 2) {
        log.push(end)
        recent.add(append(1 + random.below(80_000)), at(end, known ?? end))
        known = ++end
      } else {
        const taken = recent.take('keyed.a', 0, next).map(({ offset }) => offset)
        const found = taken.length > 0 ? taken : log.filter((offset) => offset >= next).slice(0, 1 + random.below(3))
        read.push(...found)
        if (found.length > 0) next = found[found.length - 1] + 1
      }
    }
    assert.deepEqual(read, log.slice(0, read.length))
  }
})
