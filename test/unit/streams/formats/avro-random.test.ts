import assert from 'node:assert/strict'
import { test } from 'node:test'
import avsc from 'avsc'
import { isTidemarkError } from '../../../../features/errors/tidemark-error.ts'
import type { FieldPlan, FieldType, Value } from '../../../../features/plan/field-type.ts'
import { decodeField } from '../../../../streams/ingest/decode-field.ts'
import { decodeSource, formatSource, framed, HeldSchemas } from '../../../support/decode-source.ts'
import type { DecodedEvent } from '../../../support/decode-source.ts'
import { Random, runSeed } from '../../../support/random.ts'
import { field } from '../../../support/view-plans.ts'

/** Longs as bigints, exactly. */
const longs = avsc.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(value)
    return bytes
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})

const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'] as const
const COLUMNS: readonly FieldType[] = [
  { kind: 'bool' },
  { kind: 'int32' },
  { kind: 'int64' },
  { kind: 'float32' },
  { kind: 'float64' },
  { kind: 'string' },
  { kind: 'bytes' },
  { kind: 'timestamp' },
  { kind: 'enum', values: ['a', 'b'] },
  { kind: 'vector', length: 2 },
]
type Schema = string | readonly Schema[] | { readonly type: string; readonly [key: string]: unknown }

let names = 0

function randomSchema(random: Random, depth: number): Schema {
  if (depth >= 3 || random.below(3) > 0) return random.pick(PRIMITIVES)
  switch (random.below(6)) {
    case 0:
      return { type: 'array', items: randomSchema(random, depth + 1) }
    case 1:
      return { type: 'map', values: randomSchema(random, depth + 1) }
    case 2:
      return { type: 'enum', name: `E${names++}`, symbols: ['a', 'b', 'c'] }
    case 3:
      return { type: 'fixed', name: `F${names++}`, size: random.below(5) }
    case 4: {
      const fields = Array.from({ length: random.below(3) }, (_, i) => ({
        name: `f${i}`,
        type: randomSchema(random, depth + 1),
      }))
      return { type: 'record', name: `R${names++}`, fields }
    }
    default:
      return random.shuffle(['null', random.pick(['int', 'long', 'double', 'string', 'bytes', 'boolean'])])
  }
}

const NUMBERS = [0, -0, 1, -1, 0.1, 5e-324, 1e300, NaN, Infinity, 2 ** 53, 1.5]
const LONGS = [
  0n,
  -1n,
  63n,
  -64n,
  64n,
  2n ** 31n,
  -(2n ** 31n) - 1n,
  2n ** 53n + 1n,
  2n ** 48n,
  -(2n ** 49n),
  2n ** 63n - 1n,
  -(2n ** 63n),
  1_700_000_000_000n,
]
const TEXTS = ['', 'a', 'b', 'grüße', '\u{1f600}', '2024-03-01T12:00:00.123Z', 'NaN', 'AP8=', 'x'.repeat(100)]

function randomValue(random: Random, schema: Schema): unknown {
  if (Array.isArray(schema)) {
    const branch = random.pick(schema as readonly Schema[])
    return branch === 'null' ? null : { [branch as string]: randomValue(random, branch) }
  }
  const kind = typeof schema === 'string' ? schema : (schema as { type: string }).type
  const node = schema as unknown as {
    items: Schema
    values: Schema
    symbols: string[]
    size: number
    fields: { name: string; type: Schema }[]
  }
  switch (kind) {
    case 'null':
      return null
    case 'boolean':
      return random.below(2) === 0
    case 'int':
      return random.pick([0, -1, 1, 2 ** 31 - 1, -(2 ** 31), random.below(1000)])
    case 'long':
      return random.pick(LONGS)
    case 'float':
      return Math.fround(random.pick(NUMBERS))
    case 'double':
      return random.pick(NUMBERS)
    case 'bytes':
      return Buffer.from(Array.from({ length: random.below(5) }, () => random.below(256)))
    case 'string':
      return random.pick(TEXTS)
    case 'fixed':
      return Buffer.alloc(node.size, random.below(256))
    case 'enum':
      return random.pick(node.symbols)
    case 'array':
      return Array.from({ length: random.below(4) }, () => randomValue(random, node.items))
    case 'map':
      return Object.fromEntries(
        Array.from({ length: random.below(3) }, (_, i) => [`k${i}`, randomValue(random, node.values)]),
      )
    default:
      return Object.fromEntries(node.fields.map(({ name, type }) => [name, randomValue(random, type)]))
  }
}

/** What JSON of the same meaning holds: bigints where they are not safe, bytes as they are, a union's value alone. */
function plain(value: unknown, schema: Schema): unknown {
  if (value === null) return null
  if (Array.isArray(schema)) {
    const [[branch, inner]] = Object.entries(value as Record<string, unknown>)
    return plain(inner, branch)
  }
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map((item) => plain(item, (schema as unknown as { items: Schema }).items))
  return value
}

/** Field by field in their order, as the definition says. */
function judged(
  fields: readonly FieldPlan[],
  value: Readonly<Record<string, unknown>>,
  types: ReadonlyMap<string, Schema>,
): DecodedEvent {
  try {
    return fields.map((plan): Value => {
      const type = types.get(plan.name)
      return decodeField(plan, type === undefined ? undefined : plain(value[plan.name], type))
    })
  } catch (error) {
    if (!isTidemarkError(error)) throw error
    return { code: error.code, reason: error.message }
  }
}

test('random schemas and events: the columns, and the codes, that avsc and the rules of each field give', async () => {
  const seed = runSeed('avro')
  let accepted = 0
  for (let round = 0; round < 300; round++) {
    const random = new Random(seed + round)
    const columns = ['at', 'a', 'b', 'c', 'd', 'e'].slice(0, 2 + random.below(5))
    const fields = columns.map((name) =>
      name === 'at'
        ? field(name, { kind: 'timestamp' })
        : {
            ...field(name, random.pick(COLUMNS), random.below(2) === 0),
            nonFinite: random.pick(['null', 'reject'] as const),
          },
    )
    const written = random.shuffle([...columns, 'x', 'y', 'z']).filter((name) => name === 'at' || random.below(6) > 0)
    const writer = written.map((name) => ({ name, type: name === 'at' ? 'long' : randomSchema(random, 0) }))
    const schema = { type: 'record', name: 'Event', fields: writer }
    const type = avsc.Type.forSchema(schema as avsc.Schema, { registry: { long: longs }, wrapUnions: true })
    const records = Array.from({ length: 8 }, () =>
      type.toBuffer({ ...(randomValue(random, schema) as object), at: BigInt(random.below(1e6)) }),
    )
    const types = new Map(writer.map((one) => [one.name, one.type] as const))
    const expected = records.map((record) => judged(fields, type.fromBuffer(record) as Record<string, unknown>, types))
    const registry = new HeldSchemas().add('ids/7', JSON.stringify(schema))
    const source = formatSource({ kind: 'avro', framing: 'registry', subject: null, schema: null }, fields)
    const found = await decodeSource(
      source,
      records.map((record) => framed(7, record)),
      registry,
    )
    const codes = (events: DecodedEvent[]) =>
      events.map((event) => (event !== null && 'code' in event ? event.code : event))
    assert.deepEqual(codes(found), codes(expected), `round ${round} of seed ${seed}: ${JSON.stringify(schema)}`)
    accepted += found.filter((event) => event !== null && !('code' in event)).length
    // Whatever a record was cut to, or turned into, it is refused or taken, and the rest goes on.
    const hostile = records.flatMap((record) => {
      const flipped = Buffer.from(record)
      flipped[random.below(record.length)] = random.pick([0xff, 0x80, 0x01, 0xfe])
      return [record.subarray(0, random.below(record.length)), flipped, Buffer.concat([record, Buffer.of(0)])]
    })
    const after = await decodeSource(
      source,
      hostile.map((record) => framed(7, record)),
      registry,
    )
    after.forEach((event, i) => {
      if (i % 3 !== 1)
        assert.equal(
          event !== null && 'code' in event ? event.code : event,
          'TM_EVENT_MALFORMED',
          `round ${round} of seed ${seed}`,
        )
    })
  }
  assert.ok(accepted > 100, `${accepted} accepted`)
})
