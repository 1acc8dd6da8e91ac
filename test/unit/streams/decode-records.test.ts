import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FieldPlan } from '../../../features/plan/field-type.ts'
import type { SourcePlan } from '../../../features/plan/source-plan.ts'
import { columnValue } from '../../../features/values/column.ts'
import { decodeJson } from '../../../streams/ingest/decode-json.ts'
import { RecordDecoder } from '../../../streams/ingest/decode-records.ts'
import { splitLines } from '../../../streams/ingest/event-lines.ts'
import type { EventLine } from '../../../streams/ingest/event-lines.ts'
import { TextCodes } from '../../../streams/ingest/text-codes.ts'
import { Random, runSeed } from '../../support/random.ts'
import { field, testView } from '../../support/view-plans.ts'

const FIELDS: readonly FieldPlan[] = [
  field('at', { kind: 'timestamp' }),
  field('card', { kind: 'string' }),
  field('note', { kind: 'string' }, true),
  field('amount', { kind: 'float64' }),
  { ...field('lenient', { kind: 'float64' }, true), nonFinite: 'null' },
  field('seen', { kind: 'timestamp' }, true),
  field('small', { kind: 'float32' }, true),
  field('count', { kind: 'int32' }, true),
  field('ok', { kind: 'bool' }, true),
  field('bank', { kind: 'enum', values: ['a', 'bé'] }, true),
  field('constructor', { kind: 'string' }, true),
  field('__proto__', { kind: 'string' }, true),
  field('vector', { kind: 'vector', length: 2 }, true),
]
const LONG = field('id', { kind: 'int64' }, true)

function source(fields: readonly FieldPlan[]): SourcePlan {
  return { ...testView([]).plan.source, fields, eventTime: 'at' }
}

const NUMBERS = (
  '0 -0 -0.0 7 -7 0.1 1.10 12.345 999999999999999 -99999999999999.9 0.00000000000001 1e400 -1e400 1e5 1E-5 9007199254740993 9007199254740991 1234567890123456 0.1234567890123456 9223372036854775807 ' +
  '-9223372036854775808 9223372036854775808 18446744073709551616 2147483648 5e-324 01 - 1. .5 +1 -01 0x10 1_000 NaN Infinity 1.5.5 --1 00 1e 1700000000000'
).split(' ')
const TEXTS = [
  '""',
  '"a"',
  '"bé"',
  '"日本"',
  '"😀"',
  '"\u2028"',
  '"\ufeff"',
  '"\u007f"',
  '"a\\nb"',
  '"\\u0061"',
  '"\\ud83d\\ude00"',
  '"\\ud800"',
  '"\\udc00x"',
  '"\\"',
  '"a\tb"',
  '"a\u0001b"',
  '"\\x41"',
  '"NaN"',
  '"Infinity"',
  '"-Infinity"',
  "'a'",
  '"open',
  '"2024-02-29T23:59:59.999Z"',
  '"2023-02-29T00:00:00.000Z"',
  '"2024-01-01"',
  '"2024-01-01T24:00:00.000Z"',
  '"\\/"',
  `"${'long'.repeat(100)}"`,
  '"2024-01-01T00:00:00+01:00"',
  '"2024-01-01T00:00:00.000é"',
]
const OTHERS = [
  'true',
  'false',
  'null',
  'nul',
  'True',
  'undefined',
  '{}',
  '[]',
  '[1,2]',
  '[1e999,2]',
  '{"at":1}',
  '{"a":{"b":[{}]}}',
  '[1,2',
  ' ',
  '',
  '[[[[[[[[1]]]]]]]]',
  '"a" "b"',
  'null,',
  `${'['.repeat(5000)}${']'.repeat(5000)}`,
]
const GOOD: Readonly<Record<string, readonly string[]>> = {
  at: ['1700000000000', '"2024-03-01T12:00:00.123Z"', '-5', '0'],
  card: ['"card-1"', '"é"', '"card-2"'],
  amount: ['1.5', '-0', '0.1', '100'],
}
const NAMES = [
  ...FIELDS.map(({ name }) => name),
  'id',
  'unknown',
  'ca',
  'cards',
  'toString',
  '',
  'é',
  'c\\u0061rd',
  'no\\te',
]

function randomMember(random: Random, name: string, isHostile: boolean): string {
  const value = isHostile ? random.pick([random.pick(NUMBERS), random.pick(TEXTS), random.pick(OTHERS)]) : GOOD[name]
  const text = typeof value === 'string' ? value : random.pick(value ?? ['null', '1', '"a"', '0.5', '"unit"'])
  const space = (): string => (random.below(30) === 0 ? random.pick([' ', '  ', '\t', '\r', '\u00a0', '\u000b']) : '')
  return `${space()}"${name}"${space()}:${space()}${text}${space()}`
}

function randomLine(random: Random): Buffer {
  if (random.below(15) === 0)
    return Buffer.from(
      random.pick(['', ' ', '\r', '{}', '{', '}', '[]', 'null', '"text"', '\ufeff{}', '\u00a0', '{"at":1}']),
    )
  const isHostile = random.below(2) === 0
  const names = isHostile
    ? [
        ...['at', 'card', 'amount'].filter(() => random.below(8) > 0),
        ...Array.from({ length: random.below(5) }, () => random.pick(NAMES)),
      ]
    : ['at', 'card', 'amount', ...['note', 'seen', 'constructor', 'unknown'].filter(() => random.below(2) === 0)]
  const members = (random.below(3) === 0 ? random.shuffle(names) : names).map((name) =>
    randomMember(random, name, isHostile && random.below(3) === 0),
  )
  const tail = random.below(12) === 0 ? random.pick([' ', '\r', ',', '}', 'x', ' \r ', '\r\r', '{"at":1}']) : ''
  const line = Buffer.from(
    `${random.below(40) === 0 ? '\ufeff' : ''}{${members.join(random.below(40) === 0 ? ', ' : ',')}}${tail}`,
  )
  if (random.below(12) === 0) line[random.below(line.length)] = random.below(256)
  return random.below(25) === 0 ? line.subarray(0, random.below(line.length)) : line
}

function randomRecord(random: Random): Buffer {
  const lines = Array.from({ length: random.below(12) }, () => randomLine(random))
  return Buffer.concat(lines.flatMap((line, i) => (i === 0 ? [line] : [Buffer.from('\n'), line])))
}

/** What `decodeJson` makes of the same lines; blank ones are no events. */
function expected(plan: SourcePlan, records: readonly Buffer[]): unknown {
  const lines = records.flatMap((record, number) =>
    splitLines(record).flatMap((payload, line) => (isBlank(payload) ? [] : [{ record: number, line, payload }])),
  )
  const { rows, columns, eventTime, refused } = decodeJson(
    plan,
    lines.map(({ payload }) => payload),
  )
  return {
    rows: rows.map((at, row) => ({ ...lines[at], payload: columns.map((column) => columnValue(column, row)) })),
    eventTime: [...eventTime],
    nulls: columns.map(({ nulls }) => nulls),
    refused: refused.map(({ row, ...refusal }) => ({ ...refusal, ...lines[row] })),
  }
}

function isBlank(line: EventLine): boolean {
  return typeof line === 'string' && line.trim() === '' && !/^[\u00a0\ufeff]/.test(line)
}

function found(decoder: RecordDecoder, records: readonly Buffer[]): unknown {
  const { recordOf, lineOf, columns, eventTime, refused } = decoder.decode(records)
  const payload = (row: number) => columns.map((column) => columnValue(column, row))
  return {
    rows: Array.from(recordOf, (record, row) => ({ record, line: lineOf[row], payload: payload(row) })),
    eventTime: [...eventTime],
    nulls: columns.map(({ nulls }) => nulls),
    refused,
  }
}

test('events read from bytes are those that JSON.parse and the schema give, hostile ones too, with the same refusals', () => {
  const seed = runSeed('decode records')
  let accepted = 0
  for (const fields of [FIELDS, [...FIELDS, LONG]]) {
    const plan = source(fields)
    const decoder = new RecordDecoder(plan)
    for (let i = 0; i < 400; i++) {
      const random = new Random(seed + i)
      const records = Array.from({ length: 1 + random.below(3) }, () => randomRecord(random))
      const result = found(decoder, records)
      assert.deepEqual(result, expected(plan, records), `case ${i} of seed ${seed}`)
      accepted += (result as { rows: unknown[] }).rows.length
    }
  }
  assert.ok(accepted > 500)
})

test('plain numbers are the doubles that JSON.parse gives', () => {
  const random = new Random(runSeed('plain numbers'))
  const plan = source([field('at', { kind: 'timestamp' }), field('amount', { kind: 'float64' })])
  const decoder = new RecordDecoder(plan)
  const texts = Array.from({ length: 20_000 }, () => {
    const digits = Array.from({ length: 1 + random.below(17) }, () => random.below(10)).join('')
    const point = random.below(digits.length + 1)
    const text = `${random.below(2) === 0 ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
    return text
      .replace(/\.$/, '')
      .replace(/^(-?)0*(?=\d)/, '$1')
      .replace(/^(-?)\./, '$10.')
  })
  const record = Buffer.from(texts.map((text) => `{"at":1,"amount":${text}}`).join('\n'))
  const { columns, refused } = decoder.decode([record])
  assert.deepEqual(refused, [])
  texts.forEach((text, row) => assert.ok(Object.is(columnValue(columns[1], row), Number(text) + 0), text))
})

test('texts of one hash, more texts than are held, and texts of any length keep their numbers', () => {
  const random = new Random(runSeed('text codes'))
  for (const hashes of [1, 3, 1 << 30]) {
    const codes = new TextCodes()
    const known = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const text = random.below(100) === 0 ? 'x'.repeat(random.below(40_000)) : `é-${random.below(1500)}`
      const bytes = Buffer.from(`{${text}}`)
      const code = codes.codeOf(
        bytes,
        1,
        bytes.length - 1,
        (text.length * 7 + text.charCodeAt(text.length - 1)) % hashes,
      )
      assert.equal(code, known.get(text) ?? known.size)
      known.set(text, code)
      assert.equal(codes.texts[code], text)
    }
    codes.trim()
    assert.equal(codes.texts.length, known.size)
  }
  const codes = new TextCodes()
  const bytes = Buffer.from('a'.repeat(9 << 20))
  assert.equal(codes.codeOf(bytes, 0, bytes.length, 1), 0)
  codes.trim()
  assert.equal(codes.texts.length, 0)
  assert.equal(codes.codeOf(bytes, 0, 3, 1), 0)
})
