import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketOf, entityKeyBytes, entityKeysOfBatch, partitionOf } from '../../../features/values/entity-key.ts'
import { murmur2 } from '../../../features/values/murmur2.ts'
import type { Column } from '../../../features/values/column.ts'
import type { EntityPlan } from '../../../features/plan/source-plan.ts'
import { field } from '../../support/view-plans.ts'

const utf8 = new TextEncoder()

test('murmur2 equals the vectors of the Kafka Java client (UtilsTest.testMurmur2)', () => {
  const vectors: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ]
  for (const [text, hash] of vectors) assert.equal(murmur2(utf8.encode(text)), hash, text)
})

test('the key of one string column is its UTF-8 bytes', () => {
  assert.deepEqual(entityKeyBytes(['Zürich']), utf8.encode('Zürich'))
})

test('composite keys are self-delimiting: no two entities share bytes', () => {
  const keys = [
    ['a', 'bc'],
    ['ab', 'c'],
    ['', 'abc'],
    ['abc', ''],
  ].map((values) => entityKeyBytes(values).join())
  assert.equal(new Set(keys).size, keys.length)
  assert.notDeepEqual(entityKeyBytes([1, 2]), entityKeyBytes([2, 1]))
  assert.deepEqual(entityKeyBytes([7]), entityKeyBytes([7n]))
})

test('a batch gives the same keys as one value at a time, and −1 for a null component', () => {
  const entity: EntityPlan = {
    kind: 'entity',
    name: 'origin_hour',
    columns: [field('origin', { kind: 'string' }), field('hour', { kind: 'int32' })],
  }
  const columns: Column[] = [
    {
      storage: 'string',
      type: { kind: 'string' },
      codes: Int32Array.from([0, 1, 0, 0]),
      dictionary: ['ORD', 'LAX'],
      nulls: null,
    },
    {
      storage: 'number',
      type: { kind: 'int32' },
      values: Float64Array.from([5, 5, 5, 0]),
      nulls: Uint8Array.from([0, 0, 0, 1]),
    },
  ]
  const { distinct, keyOf } = entityKeysOfBatch(entity, columns, 4)
  assert.deepEqual([...keyOf], [0, 1, 0, -1])
  assert.deepEqual(distinct, [entityKeyBytes(['ORD', 5]), entityKeyBytes(['LAX', 5])])
})

test('buckets and partitions follow murmur2', () => {
  const key = utf8.encode('21')
  assert.equal(bucketOf(key, 256), (-973932308 & 0x7fffffff) % 256)
  assert.equal(partitionOf(bucketOf(key, 256), 4), bucketOf(key, 256) % 4)
})
