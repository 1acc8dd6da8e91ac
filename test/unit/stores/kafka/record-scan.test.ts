import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecordsBatch } from '@platformatic/kafka'
import { scanRecords } from '../../../../stores/log/kafka/record-scan.ts'
import type { AbortedTransaction } from '../../../../stores/log/kafka/record-scan.ts'

const ATTRIBUTES_AT = 21
const MAX_TIMESTAMP_AT = 35
const APPEND_TIME = 0b1000
const TRANSACTIONAL = 0b10000
const CONTROL = 0b100000

interface Batch {
  readonly base: number
  readonly values: readonly string[]
  readonly producerId?: number
  readonly attributes?: number
  readonly compression?: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
}

/** A batch as a broker stores it: with its base offset, and its time where it stamps records itself. */
function batchOf({ base, values, producerId = -1, attributes = 0, compression = 'none' }: Batch): Buffer {
  const messages = values.map((value, i) => ({
    topic: 't',
    key: i === 0 ? undefined : Buffer.from(`k${i}`),
    value: Buffer.from(value),
    timestamp: BigInt(1000 + i),
  }))
  const bytes = createRecordsBatch(messages, { compression, producerId: BigInt(producerId) }).buffer
  bytes.writeBigInt64BE(BigInt(base), 0)
  bytes.writeInt16BE(bytes.readInt16BE(ATTRIBUTES_AT) | attributes, ATTRIBUTES_AT)
  if ((attributes & APPEND_TIME) !== 0) bytes.writeBigInt64BE(7777n, MAX_TIMESTAMP_AT)
  return bytes
}

function scan(bytes: Buffer, from = 0, aborted: readonly AbortedTransaction[] = [], limit = Infinity) {
  const found: [number, number, string, string | null][] = []
  const text = (value: Uint8Array | null): string | null => (value === null ? null : Buffer.from(value).toString())
  const next = scanRecords(bytes, from, aborted, ({ offset, timestamp, key, value }) => {
    found.push([offset, timestamp, text(value) ?? '', text(key)])
    return found.length < limit
  })
  return { found, next }
}

test('records of every codec, from an offset in the middle of a batch, with the time that counts', () => {
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const long = 'x'.repeat(5000)
    const bytes = Buffer.concat([
      batchOf({ base: 10, values: ['a', 'b', long], compression }),
      batchOf({ base: 20, values: ['', 'ü'], compression, attributes: APPEND_TIME }),
    ])
    const { found, next } = scan(bytes, 11)
    assert.deepEqual(found, [
      [11, 1001, 'b', 'k1'],
      [12, 1002, long, 'k2'],
      [20, 7777, '', null],
      [21, 7777, 'ü', 'k1'],
    ])
    assert.equal(next, 22)
    assert.deepEqual(scan(bytes, 0, [], 1), { found: [[10, 1000, 'a', null]], next: 11 })
  }
})

test('of the headers the one that names the schema of the value is given, the last of several', () => {
  const messages = [
    { topic: 't', value: Buffer.from('a'), headers: new Map([[Buffer.from('trace'), Buffer.from('x')]]) },
    {
      topic: 't',
      value: Buffer.from('b'),
      headers: new Map([
        [Buffer.from('__value_schema_id'), Buffer.of(1, 2)],
        [Buffer.from('__key_schema_id'), Buffer.of(9)],
        [Buffer.from('__value_schema_id'), Buffer.of(1, 3)],
        [Buffer.from('trace'), Buffer.alloc(0)],
      ]),
    },
    { topic: 't', value: Buffer.from('c') },
  ]
  const found: (number[] | null)[] = []
  scanRecords(createRecordsBatch(messages, { producerId: -1n }).buffer, 0, [], ({ schemaId }) => {
    found.push(schemaId === null ? null : [...schemaId])
    return true
  })
  assert.deepEqual(found, [null, [1, 3], null])
})

test('a batch that is cut short is read another time; bytes that are no batch are an error', () => {
  const whole = batchOf({ base: 5, values: ['a', 'b'] })
  const next = batchOf({ base: 7, values: ['c'] })
  for (let cut = 0; cut < next.length; cut++) {
    const { found, next: at } = scan(Buffer.concat([whole, next.subarray(0, cut)]))
    assert.deepEqual([found.length, at], [2, 7])
  }
  assert.deepEqual(scan(Buffer.alloc(0), 9), { found: [], next: 9 })
  const old = Buffer.from(whole)
  old[16] = 1
  assert.throws(() => scan(old), RangeError)
  const lying = Buffer.from(whole)
  lying.writeInt32BE(99, 57)
  assert.throws(() => scan(lying), RangeError)
})

test('aborted transactions of a producer that aborts again and again are left out, all others stay', () => {
  const of = (base: number, producerId: number, value: string): Buffer =>
    batchOf({ base, values: [value], producerId, attributes: TRANSACTIONAL })
  const marker = (base: number, producerId: number): Buffer =>
    batchOf({ base, values: ['marker'], producerId, attributes: TRANSACTIONAL | CONTROL })
  const bytes = Buffer.concat([
    of(0, 1, 'committed'),
    marker(1, 1),
    of(2, 1, 'aborted'),
    of(3, 2, 'other'),
    batchOf({ base: 4, values: ['plain'] }),
    marker(5, 1),
    of(6, 1, 'aborted again'),
    of(7, 1, 'aborted too'),
    marker(8, 2),
    marker(9, 1),
    of(10, 1, 'committed at last'),
    marker(11, 1),
  ])
  const aborted = [
    { producerId: 1n, firstOffset: 6n },
    { producerId: 1n, firstOffset: 2n },
  ]
  const { found, next } = scan(bytes, 0, aborted)
  assert.deepEqual(
    found.map(([offset, , value]) => [offset, value]),
    [
      [0, 'committed'],
      [3, 'other'],
      [4, 'plain'],
      [10, 'committed at last'],
    ],
  )
  assert.equal(next, 12)
})
