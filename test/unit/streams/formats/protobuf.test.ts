import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import protobufjs from 'protobufjs'
import { isTidemarkError } from '../../../../features/errors/tidemark-error.ts'
import type { FieldPlan, FieldType, Value } from '../../../../features/plan/field-type.ts'
import type { ProtobufFormatPlan } from '../../../../features/plan/format-plan.ts'
import { parseProtobufSchema } from '../../../../stores/schemas/protobuf-schema.ts'
import { decodeField } from '../../../../streams/ingest/decode-field.ts'
import { decodeSource, formatSource, framed, HeldSchemas } from '../../../support/decode-source.ts'
import type { DecodedEvent } from '../../../support/decode-source.ts'
import { Random, runSeed } from '../../../support/random.ts'
import { field } from '../../../support/view-plans.ts'

interface LongNumbers {
  fromString(text: string, unsigned: boolean): unknown
  isLong(value: unknown): boolean
}

const LONG = protobufjs.util.Long as unknown as LongNumbers

interface Golden {
  readonly schema: string
  readonly id: number
  readonly message: string
  readonly records: readonly {
    readonly plain: string
    readonly framed: string
    readonly event: Record<string, unknown>
  }[]
}

/** Written by Google's and Confluent's Protobuf for Python: see make.py there. */
const GOLDEN = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../support/source-formats/protobuf.json'), 'utf8'),
) as Golden

const KINDS: Readonly<Record<string, FieldType>> = {
  paid_at: { kind: 'timestamp' },
  ok: { kind: 'bool' },
  small: { kind: 'int32' },
  big: { kind: 'int64' },
  half: { kind: 'float32' },
  amount: { kind: 'float64' },
  note: { kind: 'string' },
  raw: { kind: 'bytes' },
  channel: { kind: 'enum', values: ['SHOP', 'WEB'] },
  place: { kind: 'vector', length: 3 },
  seen_at: { kind: 'timestamp' },
  id: { kind: 'string' },
  limit: { kind: 'float64' },
  place_id: { kind: 'int64' },
  card: { kind: 'string' },
}
const NULLABLE = new Set(['note', 'seen_at', 'limit', 'card'])
const FIELDS: readonly FieldPlan[] = Object.entries(KINDS).map(([name, type]) => field(name, type, NULLABLE.has(name)))
const FRAMED: ProtobufFormatPlan = { kind: 'protobuf', framing: 'registry', subject: null, schema: null, message: null }

function plain(schema: string, message: string): ProtobufFormatPlan {
  return { ...FRAMED, framing: 'none', schema, message }
}

function codeOf(event: DecodedEvent): unknown {
  return event !== null && 'code' in event ? event.code : event
}

test('Protobuf records of another implementation, plain and by id, give the columns that their JSON would', async () => {
  const { schema, id, message, records } = GOLDEN
  const events = records.map(({ event }) =>
    FIELDS.map((plan) => {
      const raw = event[plan.name]
      return decodeField(plan, plan.type.kind === 'int64' ? BigInt(raw as string) : raw)
    }),
  )
  const bytes = (form: 'plain' | 'framed') => records.map((record) => Buffer.from(record[form], 'base64'))
  assert.deepEqual(await decodeSource(formatSource(plain(schema, message), FIELDS, 'paid_at'), bytes('plain')), events)
  const registry = new HeldSchemas().add(`ids/${id}`, schema, 'PROTOBUF')
  for (const wanted of [null, message])
    assert.deepEqual(
      await decodeSource(formatSource({ ...FRAMED, message: wanted }, FIELDS, 'paid_at'), bytes('framed'), registry),
      events,
    )
  const other = await decodeSource(
    formatSource({ ...FRAMED, message: 'shop.Other' }, FIELDS, 'paid_at'),
    bytes('framed'),
    registry,
  )
  assert.deepEqual(
    other.map(codeOf),
    records.map(() => 'TM_EVENT_MESSAGE'),
  )
})

test('cut anywhere, and with any byte changed, a record is taken or refused; what is behind the frame must be a message of the schema', async () => {
  const { schema, id, records } = GOLDEN
  const registry = new HeldSchemas().add(`ids/${id}`, schema, 'PROTOBUF')
  const source = formatSource(FRAMED, FIELDS, 'paid_at')
  const record = Buffer.from(records[3].framed, 'base64')
  const cut = Array.from({ length: record.length }, (_, length) => record.subarray(0, length)).slice(1)
  const changed = Array.from({ length: record.length }, (_, at) => {
    const copy = Buffer.from(record)
    copy[at] ^= 0xff
    return copy
  })
  for (const event of await decodeSource(source, [...cut, ...changed], registry)) assert.notEqual(event, null)
  const places = [[0x0a], [0x02, 0x08], [0x04, 0x02, 0x04], [0xff, 0xff, 0xff, 0xff, 0xff], [0x01], [0x7e], []]
  const wrong = places.map((place) => framed(id, Buffer.from(place)))
  assert.deepEqual((await decodeSource(source, wrong, registry)).map(codeOf), [
    'TM_EVENT_MALFORMED',
    'TM_SCHEMA_INVALID',
    'TM_SCHEMA_INVALID',
    'TM_EVENT_MALFORMED',
    'TM_EVENT_MALFORMED',
    'TM_EVENT_MALFORMED',
    'TM_EVENT_MALFORMED',
  ])
})

test('groups, unknown fields, fields twice, packed and not, changed types and lengths beyond the end', async () => {
  const schema =
    'syntax = "proto2"; message P { optional int64 at = 1; repeated float place = 2; optional string note = 3 [default = "none"]; optional bool ok = 4; }'
  const fields = [
    field('at', { kind: 'timestamp' }),
    field('place', { kind: 'vector', length: 2 }),
    field('note', { kind: 'string' }, true),
    field('ok', { kind: 'bool' }, true),
  ]
  const place = Buffer.from([0x15, 0, 0, 0x80, 0x3f, 0x12, 4, 0, 0, 0, 0x40])
  const good = Buffer.concat([Buffer.of(8, 5), place])
  const bodies: [Buffer, unknown][] = [
    [good, [5, Float32Array.of(1, 2), 'none', null]],
    [Buffer.concat([Buffer.of(8, 1), good, Buffer.of(0x1a, 1, 0x61, 0x20, 1)]), [5, Float32Array.of(1, 2), 'a', true]],
    [Buffer.concat([good, Buffer.of(0x53, 0x5b, 0x5c, 0x50, 1, 0x54)]), [5, Float32Array.of(1, 2), 'none', null]],
    [Buffer.concat([good, Buffer.of(0x18, 7)]), [5, Float32Array.of(1, 2), 'none', null]],
    [Buffer.concat([good, Buffer.of(0x53, 0x5c)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.alloc(100_000, 0x53)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.of(0x54)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.of(0x1a, 0xff, 0xff, 0xff, 0xff, 0x7f)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.of(0x1a, 1, 0xff)]), 'TM_EVENT_TYPE'],
    [Buffer.concat([good, Buffer.of(0x12, 3, 0, 0, 0)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.of(0x07)]), 'TM_EVENT_MALFORMED'],
    [Buffer.concat([good, Buffer.alloc(12, 0xff)]), 'TM_EVENT_MALFORMED'],
    [place, 'TM_EVENT_NULL'],
    [Buffer.of(8, 5), 'TM_EVENT_TYPE'],
    [
      Buffer.concat([good, Buffer.of(0x1a, 0x80, 0x80, 0x80, 0x05), Buffer.alloc(10 << 20, 0x62)]),
      [5, Float32Array.of(1, 2), 'b'.repeat(10 << 20), null],
    ],
  ]
  const found = await decodeSource(
    formatSource(plain(schema, 'P'), fields),
    bodies.map(([body]) => body),
  )
  assert.deepEqual(
    found.map(codeOf),
    bodies.map(([, expected]) => expected),
  )
})

test('a schema that imports what is not there, of no Protobuf, or with a name that it does not have is refused with its reason', () => {
  assert.throws(() => parseProtobufSchema('syntax = "proto3"; import "a.proto"; message P { other.A a = 1; }'), {
    code: 'TM_SCHEMA_INVALID',
  })
  assert.throws(() => parseProtobufSchema('{"type":"record"}'), { code: 'TM_SCHEMA_INVALID' })
  const file = parseProtobufSchema('syntax = "proto3"; import "a.proto"; message P { other.A a = 1; }', [
    'syntax = "proto3"; package other; message A { int32 x = 1; }',
  ])
  assert.deepEqual(
    file.message([0])?.fields.map(({ name }) => name),
    ['a'],
  )
  assert.equal(file.named('Q'), null)
  assert.equal(file.message([1]), null)
})

const SCALARS = [
  'double',
  'float',
  'int32',
  'int64',
  'uint32',
  'uint64',
  'sint32',
  'sint64',
  'fixed32',
  'fixed64',
  'sfixed32',
  'sfixed64',
  'bool',
  'string',
  'bytes',
] as const
const COLUMNS: readonly FieldType[] = [
  { kind: 'bool' },
  { kind: 'int32' },
  { kind: 'int64' },
  { kind: 'float32' },
  { kind: 'float64' },
  { kind: 'string' },
  { kind: 'bytes' },
  { kind: 'timestamp' },
  { kind: 'vector', length: 2 },
]

function randomScalar(random: Random, type: string): unknown {
  switch (type) {
    case 'double':
    case 'float':
      return random.pick([0, -0, 1.5, 1e300, -2, NaN, Infinity])
    case 'bool':
      return random.below(2) === 0
    case 'string':
      return random.pick(['', 'a', 'grüße', '2024-03-01T12:00:00.123Z', 'NaN'])
    case 'bytes':
      return Buffer.from(Array.from({ length: random.below(4) }, () => random.below(256)))
    default: {
      const unsigned = type.startsWith('u') || type.startsWith('fixed')
      const long = type.includes('64')
      const text = random.pick(
        unsigned
          ? ['0', '1', long ? '18446744073709551615' : '4294967295']
          : [
              '0',
              '-1',
              '1',
              long ? '9223372036854775807' : '2147483647',
              long ? '-9223372036854775808' : '-2147483648',
              long ? '9007199254740993' : '77',
            ],
      )
      return long ? LONG.fromString(text, unsigned) : Number(text)
    }
  }
}

/** What JSON of the same meaning holds. */
function asJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asJson)
  if (!LONG.isLong(value)) return value
  const text = String(value)
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text)
}

test('random messages: the columns, and the codes, that protobufjs and the rules of each field give', async () => {
  const seed = runSeed('protobuf')
  let accepted = 0
  for (let round = 0; round < 150; round++) {
    const random = new Random(seed + round)
    const names = ['at', 'a', 'b', 'c', 'd'].slice(0, 2 + random.below(4))
    const fields = names.map((name) =>
      name === 'at'
        ? field(name, { kind: 'timestamp' })
        : {
            ...field(name, random.pick(COLUMNS), random.below(2) === 0),
            nonFinite: random.pick(['null', 'reject'] as const),
          },
    )
    const declared = random.shuffle([...names, 'x', 'y']).map((name, i) => ({
      name,
      type: name === 'at' ? 'int64' : random.pick(SCALARS),
      rule: name === 'at' ? '' : random.pick(['', '', 'optional ', 'repeated ']),
      number: 1 + i + 20 * random.below(100),
    }))
    const schema = `syntax = "proto3"; message P { ${declared.map(({ name, type, rule, number }) => `${rule}${type} ${name} = ${number};`).join(' ')} }`
    const type = protobufjs.parse(schema, { keepCase: true }).root.lookupType('P')
    const records = Array.from({ length: 8 }, () => {
      const entries = declared.flatMap(({ name, type: kind, rule }) => {
        if (name !== 'at' && random.below(4) === 0) return []
        if (name === 'at') return [[name, 1000]]
        return [
          [
            name,
            rule === 'repeated '
              ? Array.from({ length: random.below(4) }, () => randomScalar(random, kind))
              : randomScalar(random, kind),
          ],
        ]
      })
      return Buffer.from(type.encode(type.create(Object.fromEntries(entries) as object)).finish())
    })
    const expected = records.map((record): DecodedEvent => {
      const message = type.decode(record) as unknown as Record<string, unknown>
      try {
        return fields.map((plan): Value => {
          const found = declared.find(({ name }) => name === plan.name)
          if (Object.hasOwn(message, plan.name)) return decodeField(plan, asJson(message[plan.name]))
          if (found?.rule === 'optional ') return decodeField(plan, undefined)
          // protobufjs has an empty list for absent bytes, which are empty bytes.
          const isBytes = found?.type === 'bytes' && found.rule === ''
          return decodeField(plan, isBytes ? Buffer.alloc(0) : asJson(message[plan.name]))
        })
      } catch (error) {
        if (!isTidemarkError(error)) throw error
        return { code: error.code, reason: error.message }
      }
    })
    const found = await decodeSource(formatSource(plain(schema, 'P'), fields), records)
    assert.deepEqual(found.map(codeOf), expected.map(codeOf), `round ${round} of seed ${seed}: ${schema}`)
    accepted += found.filter((event) => event !== null && !('code' in event)).length
  }
  assert.ok(accepted > 50, `${accepted} accepted`)
})
