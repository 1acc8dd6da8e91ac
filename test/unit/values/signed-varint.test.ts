import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from '../../../features/values/byte-reader.ts'
import { ByteWriter } from '../../../features/values/byte-writer.ts'
import { Random, runSeed } from '../../support/random.ts'

test('signed varints: every safe integer comes back, in the bytes of zigzag LEB128', () => {
  const random = new Random(runSeed('signed varints'))
  const edges = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2 ** 31, -(2 ** 31), 8.64e15, -8.64e15]
  const values = [2 ** 52, 2 ** 53 - 1, ...edges].flatMap((value) => [value - 1, value, value + 1, -value])
  for (let i = 0; i < 2000; i++) values.push(Math.round((random.next() - 0.5) * 2 ** (1 + random.below(54))))
  for (const value of values.filter((value) => Number.isSafeInteger(value))) {
    const writer = new ByteWriter()
    writer.svarint(value)
    const bytes = writer.finish()
    assert.equal(new ByteReader(bytes).svarint(), value + 0)
    assert.deepEqual([...bytes], zigzag(BigInt(value)), String(value))
  }
})

function zigzag(value: bigint): number[] {
  let rest = value < 0n ? -2n * value - 1n : 2n * value
  const bytes: number[] = []
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}
