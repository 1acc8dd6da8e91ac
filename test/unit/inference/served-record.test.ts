import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeCell } from '../../../features/values/value-bytes.ts'
import { decodeServedRow, encodeServedRow } from '../../../inference/served-record.ts'

const ROW = {
  requestId: 'a-request',
  row: 3,
  serviceVersion: 'ab'.repeat(32),
  entity: { card_id: 'ü', shard: 2n ** 60n, region: null },
  request: { amount: 0.1, at: -5, raw: new Uint8Array([1, 2]), vector: Float32Array.from([0.5]) },
  evaluatedAt: 1_700_000_000_123,
  stamps: [{ view: 'v', version: 'cd'.repeat(32), incarnation: 'inc', partition: 3, nextOffset: '9007199254740991' }],
  cells: [
    encodeCell(0.1, 'PRESENT'),
    encodeCell(null, 'EXPIRED'),
    encodeCell(-(2n ** 63n), 'DEFAULTED'),
    encodeCell(new Map([['a', [1, null, true]]]), 'PRESENT'),
  ],
}

test('a served row comes back from its record as it was', () => {
  assert.deepEqual(decodeServedRow(encodeServedRow(ROW)), ROW)
})

test('every flipped bit, and every cut, of a record is noticed', () => {
  const bytes = encodeServedRow(ROW)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] ^= 1 << (bit & 7)
    assert.equal(decodeServedRow(flipped), null, `bit ${bit}`)
  }
  for (let length = 0; length < bytes.length; length++) assert.equal(decodeServedRow(bytes.subarray(0, length)), null)
})
