import assert from 'node:assert/strict'
import { test } from 'node:test'
import { produce } from '../../../../streams/produce.ts'
import { readHeldBack } from '../../../../streams/ingest/held-back.ts'
import { forgetKey } from '../../../../streams/forget/forget-key.ts'
import { ForgottenKey } from '../../../../streams/forget/forgotten-key.ts'
import { StreamRole } from '../../../../streams/stream-role.ts'
import { readDeadLetters } from '../../../../streams/dead-letters/dead-letters.ts'
import { replayDeadLetters } from '../../../../streams/dead-letters/replay-dead-letters.ts'
import { failStore } from '../../../../stores/errors.ts'
import type { RegisteredSchema, SchemaKey } from '../../../../stores/schemas/schema-registry.ts'
import { HeldSchemas } from '../../../support/decode-source.ts'
import { PAYMENT_SCHEMA, payment } from '../../../support/framed-payments.ts'
import { Platform } from '../../../support/platform.ts'

const DEFINITIONS = `
import { avro, count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card: t.string() })
export const payments = stream('payments', {
  format: avro({ subject: 'payments-value' }),
  schema: { card: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: 'at',
})
export const spend = featureView('spend', { entity: card, from: payments, features: { n: count().over('lifetime'), total: sum('amount').over('lifetime') } })
export const all = featureService('all', { features: [spend.all()] })
`

class TroubledSchemas extends HeldSchemas {
  isAway = false

  override schema(key: SchemaKey): Promise<RegisteredSchema | null> {
    if (this.isAway) return Promise.reject(failStore('TM_SCHEMA_REGISTRY_UNAVAILABLE', 'the schema registry is away'))
    return super.schema(key)
  }
}

async function open(t: Parameters<typeof Platform.open>[0]): Promise<{ platform: Platform; schemas: TroubledSchemas }> {
  const platform = await Platform.open(t, DEFINITIONS)
  const schemas = new TroubledSchemas()
  platform.context = { ...platform.context, schemas }
  return { platform, schemas }
}

async function values(platform: Platform, card: string): Promise<readonly unknown[]> {
  return (await platform.read('all', [{ card }]))[0].values
}

test('while the schema registry is away ingest of its source waits, visibly, and no event becomes a dead letter; then it goes on', async (t) => {
  const { platform, schemas } = await open(t)
  schemas.add('ids/1', JSON.stringify(PAYMENT_SCHEMA))
  await produce(platform.context, 'payments', [payment(1, 'a', 2)])
  schemas.isAway = true
  const role = new StreamRole(platform.context)
  assert.equal(await role.runOnce(), 0)
  assert.equal(role.waiting.get('payments')?.code, 'TM_SCHEMA_REGISTRY_UNAVAILABLE')
  assert.equal(role.isHeldBack, false)
  const held = (await readHeldBack(platform.context.metadata)).get('payments')
  assert.ok(held?.by === 'schema-registry' && held.reason === 'the schema registry is away')
  await assert.rejects(platform.settle(), { code: 'TM_SCHEMA_REGISTRY_UNAVAILABLE' })
  schemas.isAway = false
  while ((await role.runOnce()) > 0);
  await role.settle()
  assert.equal(role.waiting.size, 0)
  assert.equal((await readHeldBack(platform.context.metadata)).size, 0)
  assert.deepEqual(await values(platform, 'a'), [1, 2])
  for await (const { letters } of readDeadLetters(platform.context.log, 'payments')) assert.deepEqual(letters, [])
})

test('an unknown schema is a dead letter that keeps its bytes, and replays once the schema is registered; letters beside it stay', async (t) => {
  const { platform, schemas } = await open(t)
  schemas.add('ids/1', JSON.stringify(PAYMENT_SCHEMA))
  const unknown = payment(9, 'b', 5)
  const records = [
    payment(1, 'a', 1),
    unknown,
    Buffer.from('{"card":"a"}'),
    payment(1, 'a', 3),
    payment(1, 'a', 4).subarray(0, 9),
  ]
  assert.deepEqual(await produce(platform.context, 'payments', records), {
    accepted: 2,
    refused: 3,
    codes: { TM_SCHEMA_UNKNOWN: 1, TM_EVENT_MALFORMED: 2 },
  })
  await platform.settle()
  assert.deepEqual(await values(platform, 'a'), [2, 4])
  const found: string[] = []
  for await (const { letters } of readDeadLetters(platform.context.log, 'payments'))
    for (const { code, payload, base64, sequence } of letters) {
      assert.equal(base64, true)
      assert.deepEqual(Buffer.from(payload, 'base64'), records[sequence[0]])
      found.push(`${code} ${sequence.join('.')}`)
    }
  assert.deepEqual(found, ['TM_SCHEMA_UNKNOWN 1.0', 'TM_EVENT_MALFORMED 2.0', 'TM_EVENT_MALFORMED 4.0'])
  assert.deepEqual(await replayDeadLetters(platform.context, 'payments'), {
    replayed: 0,
    refused: 3,
    codes: { TM_SCHEMA_UNKNOWN: 1, TM_EVENT_MALFORMED: 2 },
  })
  schemas.add('ids/9', JSON.stringify(PAYMENT_SCHEMA))
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  await platform.settle()
  assert.deepEqual(await values(platform, 'b'), [1, 5])
})

test('a forgotten key goes out of a topic of bytes and its letters; the other events keep their places', async (t) => {
  const { platform, schemas } = await open(t)
  schemas.add('ids/1', JSON.stringify(PAYMENT_SCHEMA))
  const records = [payment(1, 'stays', 1), payment(1, 'leaves', 2), payment(9, 'leaves', 3), payment(1, 'stays', 4)]
  await produce(platform.context, 'payments', records)
  await platform.settle()
  const card = (await platform.context.registry.entities()).find(({ name }) => name === 'card')
  assert.ok(card !== undefined)
  const removed = await forgetKey(platform.context, new ForgottenKey(card, ['leaves']), platform.clock.ms)
  assert.deepEqual([removed.events, removed.sourceLines, removed.deadLetters], [1, 2, 1])
  const left = await platform.context.log.read('source.payments', 0, 0, 1 << 20)
  assert.deepEqual(
    left.map(({ value }) => Buffer.from(value).toString('hex')),
    records.map((record, i) => (i === 1 || i === 2 ? '' : record.toString('hex'))),
  )
  assert.deepEqual(await values(platform, 'stays'), [2, 5])
  assert.deepEqual(await values(platform, 'leaves'), [0, null])
})
