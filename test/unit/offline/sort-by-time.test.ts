import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TimeSorter } from '../../../offline/sort-by-time.ts'
import { Random, runSeed } from '../../support/random.ts'

test('times and their items come out as a stable sort orders them, at every length, within their stretch alone', () => {
  const seed = runSeed('sort-by-time')
  const random = new Random(seed)
  const sorter = new TimeSorter()
  for (const length of [0, 1, 2, 47, 48, 49, 64, 65, 100, 1000, 2047, 2048, 2049, 5000, 20_000]) {
    for (const range of [1, 10, 1e6, 1e12]) {
      const before = random.below(5)
      const after = random.below(5)
      const unit = [1, 1000, 60_000][random.below(3)]
      const keys = Float64Array.from(
        { length: before + length + after },
        () => unit * (random.below(range) - range / 2),
      )
      const items = Int32Array.from(keys, (_, i) => i)
      if (random.below(4) === 0) keys.subarray(before, before + length).sort()
      const expected = [...items]
      const sorted = expected.slice(before, before + length).sort((a, b) => keys[a] - keys[b] || a - b)
      expected.splice(before, length, ...sorted)
      const expectedKeys = expected.map((item) => keys[item])
      sorter.sort(keys, items, before, before + length)
      assert.deepEqual([...items], expected, `${length} of ${range}, seed ${seed}`)
      assert.deepEqual([...keys], expectedKeys)
    }
  }
})
