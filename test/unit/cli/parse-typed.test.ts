import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTyped } from '../../../cli/commands/parse-typed.ts'
import { formatTable } from '../../../cli/terminal/table.ts'
import type { FieldType } from '../../../features/plan/field-type.ts'
import { field } from '../../support/view-plans.ts'

const parse = (type: FieldType, text: string): unknown => parseTyped([field('x', type)], new Map([['x', text]])).x

test('command-line values keep every digit, times are UTC unless they say otherwise, and what does not fit stays text', () => {
  assert.equal(parse({ kind: 'int64' }, '9007199254740993'), 9007199254740993n)
  assert.equal(parse({ kind: 'int64' }, '-9223372036854775808'), -9223372036854775808n)
  assert.equal(parse({ kind: 'int64' }, '17'), 17)
  assert.equal(parse({ kind: 'float64' }, '1e-7'), 1e-7)
  assert.equal(parse({ kind: 'float64' }, 'much'), 'much')
  assert.equal(parse({ kind: 'float64' }, ' '), ' ')
  assert.equal(parse({ kind: 'string' }, '007'), '007')
  assert.equal(parse({ kind: 'bool' }, 'true'), true)
  assert.equal(parse({ kind: 'bool' }, 'yes'), 'yes')
  const day = Date.UTC(2026, 1, 3)
  assert.equal(parse({ kind: 'timestamp' }, '2026-02-03'), day)
  assert.equal(parse({ kind: 'timestamp' }, '2026-02-03T00:00:00'), day)
  assert.equal(parse({ kind: 'timestamp' }, '2026-02-03T01:00:00+01:00'), day)
  assert.equal(parse({ kind: 'timestamp' }, String(day)), day)
  assert.equal(parse({ kind: 'timestamp' }, '2026-02-30T99'), '2026-02-30T99')
  assert.deepEqual(parse({ kind: 'vector', length: 2 }, '[1,2.5]'), [1, 2.5])
})

test('a table aligns words to the left, numbers to the right, and counts colour as no width', () => {
  assert.deepEqual(
    formatTable(
      ['name', 'count'],
      [
        ['a', '1,200'],
        ['\u001b[31mlonger\u001b[39m', '7'],
      ],
    ),
    ['name    count', 'a       1,200', '\u001b[31mlonger\u001b[39m      7'],
  )
})
