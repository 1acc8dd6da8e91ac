import assert from 'node:assert/strict'
import { test } from 'node:test'
import avsc from 'avsc'
import type { AvroFormatPlan } from '../../../../features/plan/format-plan.ts'
import { decodeSource, formatSource, framed, HeldSchemas } from '../../../support/decode-source.ts'
import type { DecodedEvent } from '../../../support/decode-source.ts'
import { field } from '../../../support/view-plans.ts'

const FIELDS = [
  field('at', { kind: 'timestamp' }),
  field('card', { kind: 'string' }),
  field('amount', { kind: 'float64' }),
  field('note', { kind: 'string' }, true),
  field('channel', { kind: 'enum', values: ['web', 'other'] }, true),
]
const AT = { name: 'at', type: 'long' }
const CARD = { name: 'card', type: 'string' }
const AMOUNT = { name: 'amount', type: 'double' }

function record(...fields: readonly object[]): { type: 'record'; name: string; fields: readonly object[] } {
  return { type: 'record', name: 'Payment', fields }
}

function read(written: object, value: object, reader: object | null = null): Promise<DecodedEvent[]> {
  const type = avsc.Type.forSchema(written as avsc.Schema, { wrapUnions: true })
  const format: AvroFormatPlan = {
    kind: 'avro',
    framing: 'registry',
    subject: null,
    schema: reader === null ? null : JSON.stringify(reader),
  }
  const registry = new HeldSchemas().add('ids/3', JSON.stringify(written))
  return decodeSource(formatSource(format, FIELDS), [framed(3, type.toBuffer(value))], registry)
}

test('without a schema of its own a source reads fields by name: added and moved ones do no harm, one that is gone is null or refused', async () => {
  const good = { at: 5, card: 'c', amount: 1.5 }
  assert.deepEqual(await read(record(AT, CARD, AMOUNT), good), [[5, 'c', 1.5, null, null]])
  const more = record({ name: 'new', type: { type: 'array', items: 'string' } }, AMOUNT, CARD, AT, {
    name: 'note',
    type: ['null', 'string'],
  })
  assert.deepEqual(await read(more, { ...good, new: ['x'], note: { string: 'n' } }), [[5, 'c', 1.5, 'n', null]])
  const [gone] = await read(record(AT, AMOUNT), { at: 5, amount: 1.5 })
  assert.deepEqual(gone, { code: 'TM_EVENT_NULL', reason: 'field card is required, found nothing' })
})

test('promoted types are read as the column', async () => {
  for (const type of ['int', 'long', 'float'])
    assert.deepEqual(await read(record(AT, CARD, { name: 'amount', type }), { at: 5, card: 'c', amount: 2 }), [
      [5, 'c', 2, null, null],
    ])
  const [text] = await read(record(AT, CARD, { name: 'amount', type: 'string' }), { at: 5, card: 'c', amount: '2' })
  assert.ok(text !== null && 'code' in text && text.code === 'TM_EVENT_TYPE')
  const bytes = record(AT, { name: 'card', type: 'bytes' }, AMOUNT)
  const value = { at: 5, card: Buffer.from('grüße'), amount: 1 }
  const [refused] = await read(bytes, value)
  assert.ok(refused !== null && 'code' in refused && refused.code === 'TM_EVENT_TYPE')
  assert.deepEqual(
    await read(
      bytes,
      value,
      record(
        AT,
        CARD,
        AMOUNT,
        { name: 'note', type: ['null', 'string'] },
        { name: 'channel', type: ['null', 'string'] },
      ),
    ),
    [[5, 'grüße', 1, null, null]],
  )
})

test("a reader's schema gives names of old, defaults and the symbol for those that it does not know", async () => {
  const reader = record(
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' }, aliases: ['when', 'time'], default: 7000 },
    { ...CARD, aliases: ['card_id'], default: 'unknown' },
    { ...AMOUNT, default: -1 },
    { name: 'note', type: ['null', 'string'], default: null },
    { name: 'channel', type: { type: 'enum', name: 'C', symbols: ['web', 'other'], default: 'other' }, default: 'web' },
  )
  const old = record(
    { name: 'time', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'card_id', type: 'string' },
  )
  assert.deepEqual(await read(old, { time: 5, card_id: 'c' }, reader), [[5, 'c', -1, null, 'web']])
  const empty = record({ name: 'other', type: 'int' })
  assert.deepEqual(await read(empty, { other: 1 }, reader), [[7, 'unknown', -1, null, 'web']])
  const symbols = record(AT, { name: 'channel', type: { type: 'enum', name: 'C', symbols: ['pigeon', 'web'] } })
  assert.deepEqual(await read(symbols, { at: 1, channel: 'pigeon' }, reader), [[1, 'unknown', -1, null, 'other']])
  const both = record({ name: 'card_id', type: 'string' }, CARD)
  assert.deepEqual(await read(both, { card_id: 'old', card: 'new' }, reader), [[7, 'new', -1, null, 'web']])
})

test('unions with null in any place, and of several types, are read by their branch', async () => {
  const note = { name: 'note', type: ['string', 'null'] }
  const amount = { name: 'amount', type: ['null', 'int', 'string', 'double'] }
  const written = record(AT, CARD, amount, note)
  assert.deepEqual(await read(written, { at: 1, card: 'c', amount: { int: 3 }, note: null }), [[1, 'c', 3, null, null]])
  assert.deepEqual(await read(written, { at: 1, card: 'c', amount: { double: 0.5 }, note: { string: 'n' } }), [
    [1, 'c', 0.5, 'n', null],
  ])
  const codes = [null, { string: 'x' }].map(async (value) => {
    const [event] = await read(written, { at: 1, card: 'c', amount: value, note: null })
    return event !== null && 'code' in event ? event.code : event
  })
  assert.deepEqual(await Promise.all(codes), ['TM_EVENT_NULL', 'TM_EVENT_TYPE'])
})

test('a schema of another type, of no record, or that cannot be read is a dead letter with its reason; an unknown id too', async () => {
  const registry = new HeldSchemas()
    .add('ids/1', '{"type":"object"}', 'JSON')
    .add('ids/2', '"string"')
    .add('ids/3', '{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}')
    .add('ids/4', 'not json')
  const source = formatSource({ kind: 'avro', framing: 'registry', subject: null, schema: null }, FIELDS)
  const records = [1, 2, 3, 4, 5, 0xffffffff].map((id) => framed(id, Buffer.of(0)))
  const events = await decodeSource(source, [...records, Buffer.from('{"at":1}'), Buffer.of(0, 0)], registry)
  assert.deepEqual(
    events.map((event) => (event !== null && 'code' in event ? event.code : event)),
    [
      'TM_SCHEMA_INVALID',
      'TM_SCHEMA_INVALID',
      'TM_SCHEMA_INVALID',
      'TM_SCHEMA_INVALID',
      'TM_SCHEMA_UNKNOWN',
      'TM_SCHEMA_UNKNOWN',
      'TM_EVENT_MALFORMED',
      'TM_EVENT_MALFORMED',
    ],
  )
  assert.match((events[4] as { reason: string }).reason, /no schema id 5: register it/)
})

test('lengths and counts that the bytes do not cover, items without bytes and values within values without end are refused at once', async () => {
  const tree = { type: 'record', name: 'Tree', fields: [{ name: 'next', type: ['null', 'Tree'] }] }
  const schema = record(AT, {
    name: 'x',
    type: [
      { type: 'array', items: 'null' },
      'string',
      tree,
      { type: 'array', items: { type: 'record', name: 'None', fields: [] } },
      { type: 'map', values: 'long' },
    ],
  })
  const registry = new HeldSchemas().add('ids/1', JSON.stringify(schema))
  const source = formatSource({ kind: 'avro', framing: 'registry', subject: null, schema: null }, FIELDS.slice(0, 1))
  const longest = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])
  const million = Buffer.from([0x80, 0x89, 0x7a])
  const bodies = [
    Buffer.concat([Buffer.of(2, 0), longest]),
    Buffer.concat([Buffer.of(2, 0), Buffer.concat(Array.from({ length: 100_000 }, () => million)), Buffer.of(0)]),
    Buffer.concat([Buffer.of(2, 2), longest]),
    Buffer.concat([Buffer.of(2, 2), Buffer.of(0x01)]),
    Buffer.concat([Buffer.of(2, 4), Buffer.alloc(10 << 20, 2)]),
    Buffer.concat([Buffer.of(2, 6), longest, Buffer.of(0)]),
    Buffer.concat([Buffer.of(2, 8), million, Buffer.alloc(100)]),
    Buffer.concat([Buffer.of(2), Buffer.alloc(11, 0xff)]),
    Buffer.of(2, 10),
  ]
  const started = performance.now()
  const events = await decodeSource(
    source,
    bodies.map((body) => framed(1, body)),
    registry,
  )
  assert.ok(performance.now() - started < 1000)
  for (const [i, event] of events.entries())
    assert.equal(event !== null && 'code' in event ? event.code : event, 'TM_EVENT_MALFORMED', String(i))
  const large = Buffer.concat([Buffer.of(2, 2), Buffer.from([0x80, 0x80, 0x80, 0x0a]), Buffer.alloc(10 << 20, 0x61)])
  assert.deepEqual(await decodeSource(source, [framed(1, large)], registry), [[1]])
})
