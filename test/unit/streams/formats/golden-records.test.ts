import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FieldPlan, FieldType } from '../../../../features/plan/field-type.ts'
import { recordBytes } from '../../../../streams/ingest/event-decoder.ts'
import { decodeField } from '../../../../streams/ingest/decode-field.ts'
import { decodeSource, formatSource, HeldSchemas } from '../../../support/decode-source.ts'
import { field } from '../../../support/view-plans.ts'

/** Written by Confluent's serializers for Python: see make.py there. */
const FOLDER = join(import.meta.dirname, '../../../support/source-formats')

interface Golden {
  readonly plain: string
  readonly framed: string
  readonly value: string
  readonly headers: readonly (readonly [string, string])[]
  readonly event: Readonly<Record<string, unknown>>
}

interface GoldenFile {
  readonly schema: object
  readonly id: number
  readonly guid: string
  readonly records: readonly Golden[]
}

function golden(name: string): GoldenFile {
  return JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as GoldenFile
}

function bytes(base64: string): Buffer {
  return Buffer.from(base64, 'base64')
}

const KINDS: Readonly<Record<string, FieldType>> = {
  ok: { kind: 'bool' },
  small: { kind: 'int32' },
  big: { kind: 'int64' },
  half: { kind: 'float32' },
  amount: { kind: 'float64' },
  note: { kind: 'string' },
  raw: { kind: 'bytes' },
  four: { kind: 'bytes' },
  channel: { kind: 'enum', values: ['phone', 'shop', 'web'] },
  place: { kind: 'vector', length: 3 },
  paid_at: { kind: 'timestamp' },
  seen_at: { kind: 'timestamp' },
  id: { kind: 'string' },
}
const FIELDS: readonly FieldPlan[] = Object.entries(KINDS).map(([name, type]) =>
  field(name, type, name === 'note' || name === 'seen_at'),
)

/** The event as the JSON that means the same would give it. */
function expected(event: Golden['event']): unknown[] {
  return FIELDS.map((plan) => {
    const raw = event[plan.name]
    return decodeField(plan, plan.type.kind === 'int64' ? BigInt(raw as string) : raw)
  })
}

test('Avro records of another implementation, plain, by id and by the GUID of a header, give the columns that their JSON would', async () => {
  const { schema, id, guid, records } = golden('avro.json')
  const text = JSON.stringify(schema)
  const registry = new HeldSchemas().add(`ids/${id}`, text).add(`guids/${guid}`, text)
  const events = records.map(({ event }) => expected(event))
  const plain = formatSource({ kind: 'avro', framing: 'none', subject: null, schema: text }, FIELDS, 'paid_at')
  const byRegistry = formatSource({ kind: 'avro', framing: 'registry', subject: null, schema: null }, FIELDS, 'paid_at')
  assert.deepEqual(
    await decodeSource(
      plain,
      records.map((record) => bytes(record.plain)),
    ),
    events,
  )
  assert.deepEqual(
    await decodeSource(
      byRegistry,
      records.map((record) => bytes(record.framed)),
      registry,
    ),
    events,
  )
  const withHeaders = records.map(({ value, headers }) => {
    assert.equal(headers[0][0], '__value_schema_id')
    const record = { offset: 0, appendTime: 0, value: bytes(value), schemaId: bytes(headers[0][1]) }
    assert.deepEqual(recordBytes(plain, record), bytes(value))
    return recordBytes(byRegistry, record)
  })
  assert.deepEqual(await decodeSource(byRegistry, withHeaders, registry), events)
  assert.equal(registry.asked, 2)
})

test('a decimal is refused with a sentence, whatever the column is; a date is no instant', async () => {
  const { schema, records } = golden('avro.json')
  const format = { kind: 'avro', framing: 'none', subject: null, schema: JSON.stringify(schema) } as const
  for (const kind of ['float64', 'bytes', 'string', 'int64'] as const) {
    const source = formatSource(format, [field('price', { kind })], 'paid_at')
    const [event] = await decodeSource(
      { ...source, fields: [field('paid_at', { kind: 'timestamp' }), ...source.fields] },
      [bytes(records[1].plain)],
    )
    assert.ok(event !== null && 'code' in event)
    assert.equal(event.code, 'TM_EVENT_TYPE')
    assert.match(
      event.reason,
      /^field price should be .*, found a decimal; Tidemark has no decimals: have the producer write a double/,
    )
  }
})

test('JSON behind the frame of a registry is one event, pretty-printed too; the registry is not asked', async () => {
  const { records } = golden('json-schema.json')
  const source = formatSource({ kind: 'jsonSchema' }, [
    field('at', { kind: 'timestamp' }),
    field('who', { kind: 'string' }),
  ])
  const values = records.map(({ framed }) => bytes(framed))
  const pretty = Buffer.concat([values[0].subarray(0, 5), Buffer.from('{\n  "at": 3,\n  "who": "b"\n}\n')])
  const broken = Buffer.concat([values[0].subarray(0, 5), Buffer.from('{"at":')])
  const events = await decodeSource(source, [...values, pretty, Buffer.from('{"at":1}'), broken, Buffer.alloc(0)])
  assert.deepEqual(
    events.map((event) => (event !== null && 'code' in event ? event.code : event)),
    [[1, 'a'], [2, 'grüße'], [3, 'b'], 'TM_EVENT_MALFORMED', 'TM_EVENT_NOT_JSON', null],
  )
})
