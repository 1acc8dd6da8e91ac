import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnValue } from '../../../features/values/column.ts'
import { decodeJson } from '../../../streams/decode-json.ts'
import { field, testView } from '../../support/view-plans.ts'

const source = {
  ...testView([]).plan.source,
  fields: [field('amount', { kind: 'float64' }), field('id', { kind: 'int64' }), field('at', { kind: 'timestamp' })],
}

test('a double written as a long integer is a double, also beside an int64 field that keeps all digits', () => {
  const decoded = decodeJson(source, [
    '{"amount":10000000000000000,"id":9007199254740993,"at":1}',
    '{"amount":-179769313486231570000000000000000000000,"id":-9223372036854775808,"at":1}',
    '{"amount":1,"id":9223372036854775808,"at":1}',
  ])
  assert.deepEqual(
    decoded.refused.map(({ row, code }) => [row, code]),
    [[2, 'TM_EVENT_TYPE']],
  )
  const values = [0, 1].map((row) => decoded.columns.slice(0, 2).map((column) => columnValue(column, row)))
  assert.deepEqual(values, [
    [1e16, 9007199254740993n],
    [Number('-179769313486231570000000000000000000000'), -9223372036854775808n],
  ])
})
