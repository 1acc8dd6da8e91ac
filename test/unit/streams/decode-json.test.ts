import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { FieldType } from '../../../features/plan/field-type.ts'
import type { SourcePlan } from '../../../features/plan/source-plan.ts'
import { columnValue } from '../../../features/values/column.ts'
import { decodeField } from '../../../streams/ingest/decode-field.ts'
import { decodeJson } from '../../../streams/ingest/decode-json.ts'
import { Random, runSeed } from '../../support/random.ts'
import { field, testView } from '../../support/view-plans.ts'

const TYPES: readonly FieldType[] = [
  { kind: 'float64' },
  { kind: 'timestamp' },
  { kind: 'string' },
  { kind: 'bool' },
  { kind: 'int32' },
  { kind: 'float32' },
  { kind: 'bytes' },
  { kind: 'enum', values: ['a', 'b'] },
  { kind: 'vector', length: 2 },
]
const SOURCE: SourcePlan = {
  ...testView([]).plan.source,
  fields: [
    field('at', { kind: 'timestamp' }),
    ...TYPES.flatMap((type, i) => [field(`required_${i}`, type), field(`nullable_${i}`, type, true)]),
    { ...field('lenient', { kind: 'float64' }, true), nonFinite: 'null' as const },
  ],
}
const GOOD: Readonly<Record<string, readonly string[]>> = {
  float64: ['1.5', '-0', '0', '1e300', '5e-324'],
  timestamp: [
    '1700000000000',
    '"2024-02-29T23:59:59.999Z"',
    '"2023-12-28T00:00:00.000Z"',
    '"2024-01-01T00:00:00+01:00"',
  ],
  string: ['"a"', '""', '"ü"', '"\\u0000"', `"${'x'.repeat(200)}"`],
  bool: ['true', 'false'],
  int32: ['7', '-2147483648'],
  float32: ['0.1', '3'],
  bytes: ['"AP8="', '""'],
  enum: ['"a"', '"b"'],
  vector: ['[1,2]', '[0.5,-1]'],
}
const ANY = [
  ...Object.values(GOOD).flat(),
  'null',
  '1e999',
  '"NaN"',
  '{}',
  '"\\ud800"',
  '8.64e15',
  '8.64e16',
  '"2023-02-29T00:00:00.000Z"',
  '"2024-13-01T00:00:00.000Z"',
  '"2024-01-01T24:00:00.000Z"',
  '"2024-01-01T00:00:00.00xZ"',
  '"+024-01-01T00:00:00.000Z"',
]

function randomEvent(random: Random): string {
  if (random.below(20) === 0) return random.pick(['', '{', '[]', 'null', '"text"', '{"at":1'])
  const hostile = random.below(2) === 0 ? random.below(SOURCE.fields.length) : -1
  const members = SOURCE.fields.flatMap(({ name, type, nullable }, i) => {
    if (nullable && random.below(4) === 0) return random.below(2) === 0 ? [] : [`"${name}":null`]
    return [`"${name}":${random.pick(i === hostile ? ANY : GOOD[type.kind])}`]
  })
  return `{${random.shuffle(members).join(',')}}`
}

/** Event by event and field by field, as the schema says. */
function oracle(payload: string): { values: unknown[] } | { code: string } {
  try {
    const parsed = JSON.parse(payload) as Record<string, unknown> | null
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return { code: 'TM_EVENT_NOT_JSON' }
    return { values: SOURCE.fields.map((plan) => decodeField(plan, parsed[plan.name])) }
  } catch (error) {
    return { code: isTidemarkError(error) ? error.code : 'TM_EVENT_NOT_JSON' }
  }
}

test('events decoded by column are those decoded one by one; a refused event leaves nothing behind', () => {
  const seed = runSeed('decode json')
  for (let i = 0; i < 300; i++) {
    const random = new Random(seed + i)
    const payloads = Array.from({ length: random.below(20) }, () => randomEvent(random))
    const { rows, columns, eventTime, refused } = decodeJson(SOURCE, payloads)
    const decided = payloads.map((payload) => oracle(payload))
    const accepted = decided.flatMap((one) => ('values' in one ? [one.values] : []))
    assert.deepEqual(
      rows.map((_, row) => columns.map((column) => columnValue(column, row))),
      accepted,
      `case ${i} of seed ${seed}`,
    )
    assert.deepEqual(
      [...eventTime],
      accepted.map(([at]) => at),
    )
    assert.deepEqual(
      refused.map(({ row, code }) => [row, code]),
      decided.flatMap((one, row) => ('code' in one ? [[row, one.code]] : [])),
    )
    for (const { nulls } of columns) assert.ok(nulls === null || (nulls.length === rows.length && nulls.includes(1)))
  }
})

test('days of four centuries, and its texts gone wrong, is the time that Date.parse gives', () => {
  const at = field('at', { kind: 'timestamp' })
  const random = new Random(runSeed('times'))
  for (let day = 0; day < 157_000; day += 1 + random.below(15)) {
    const text = new Date(day * 86_400_000 + random.below(86_400_000)).toISOString()
    const place = random.below(text.length)
    const wrong = `${text.slice(0, place)}${random.pick('0123456789:.-TZ '.split(''))}${text.slice(place + 1)}`
    const payloads = [text, wrong].map((time) => JSON.stringify({ at: time }))
    const source = { ...SOURCE, fields: [at] }
    const expected = [text, wrong].flatMap((time) => {
      try {
        return [decodeField(at, time)]
      } catch {
        return []
      }
    })
    assert.deepEqual([...decodeJson(source, payloads).eventTime], expected, `${text}, ${wrong}`)
  }
})
