import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { ConfluentRegistry } from '../../stores/schemas/confluent-registry.ts'
import { StreamRole } from '../../streams/stream-role.ts'
import { produce } from '../../streams/produce.ts'
import { countDeadLetters } from '../../streams/dead-letters/dead-letter-counts.ts'
import { replayDeadLetters } from '../../streams/dead-letters/replay-dead-letters.ts'
import { missing } from '../services/installation.ts'
import { startSchemaRegistry } from '../services/schema-registry.ts'
import { sharedServer } from '../services/shared-server.ts'
import { decodeSource, formatSource, framed } from '../support/decode-source.ts'
import { PAYMENT_SCHEMA, payment } from '../support/framed-payments.ts'
import { Platform } from '../support/platform.ts'
import { field } from '../support/view-plans.ts'

const skip = missing('registry')
const UNKNOWN_ID = 2_000_000_000

const DEFINITIONS = `
import { avro, count, entity, featureService, featureView, stream, t } from 'tidemark'
export const card = entity('card', { card: t.string() })
export const payments = stream('payments', {
  format: avro({ subject: 'payments-value' }),
  schema: { card: t.string(), amount: t.float64(), at: t.timestamp() },
  eventTime: 'at',
})
export const spend = featureView('spend', { entity: card, from: payments, features: { n: count().over('lifetime') } })
export const all = featureService('all', { features: [spend.all()] })
`

async function register(url: string, subject: string, body: object): Promise<number> {
  const answer = await fetch(`${url}/subjects/${subject}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify(body),
  })
  const { id } = (await answer.json()) as { id?: number }
  assert.ok(id !== undefined, `${subject} was not registered`)
  return id
}

test('schemas by id with their references; an unknown id or GUID is none', { skip }, async () => {
  const { url } = await sharedServer('registry')
  const registry = new ConfluentRegistry(url)
  const place = { type: 'record', name: 'Place', namespace: 'shop', fields: [{ name: 'city', type: 'string' }] }
  await register(url, 'formats-place', { schema: JSON.stringify(place) })
  const order = {
    type: 'record',
    name: 'Order',
    namespace: 'shop',
    fields: [
      { name: 'to', type: 'shop.Place' },
      { name: 'at', type: 'long' },
    ],
  }
  const references = [{ name: 'shop.Place', subject: 'formats-place', version: 1 }]
  const id = await register(url, 'formats-order', { schema: JSON.stringify(order), references })
  const found = await registry.schema(`ids/${id}`)
  assert.equal(found?.type, 'AVRO')
  assert.deepEqual(
    found.references.map(({ name }) => name),
    ['shop.Place'],
  )
  const source = formatSource({ kind: 'avro', framing: 'registry', subject: null, schema: null }, [
    field('at', { kind: 'timestamp' }),
  ])
  assert.deepEqual(await decodeSource(source, [framed(id, Buffer.of(2, 0x61, 10))], registry), [[5]])
  const proto = 'syntax = "proto3"; message P { int64 at = 1; }'
  const protoId = await register(url, 'formats-proto', { schema: proto, schemaType: 'PROTOBUF' })
  const messages = formatSource({ kind: 'protobuf', framing: 'registry', subject: null, schema: null, message: null }, [
    field('at', { kind: 'timestamp' }),
  ])
  assert.deepEqual(await decodeSource(messages, [framed(protoId, Buffer.of(0, 8, 7))], registry), [[7]])
  assert.equal(await registry.schema(`ids/${UNKNOWN_ID}`), null)
  assert.equal(await registry.schema('guids/00000000-0000-0000-0000-000000000000'), null)
})

test(
  'another path of the server, another server and none at all are not taken for a registry that lacks a schema',
  { skip },
  async (t) => {
    const { url } = await sharedServer('registry')
    for (const wrong of [`${new URL(url).origin}/elsewhere`, 'http://127.0.0.1:1'])
      await assert.rejects(new ConfluentRegistry(wrong).schema('ids/1'), { code: 'TM_SCHEMA_REGISTRY_UNAVAILABLE' })
    const seen: (string | undefined)[] = []
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization)
      response.writeHead(401).end('{"error_code":40101}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const registry = new ConfluentRegistry(`http://user:p%40ss@127.0.0.1:${port}/base/`)
    for (let i = 0; i < 3; i++)
      await assert.rejects(
        registry.schema('ids/1'),
        (error: Error) => /refuses the credentials/.test(error.message) && !error.message.includes('p@ss'),
      )
    assert.deepEqual(seen, [`Basic ${Buffer.from('user:p@ss').toString('base64')}`])
    assert.throws(() => new ConfluentRegistry('ftp://x'), { code: 'TM_CONFIG_SCHEMA_REGISTRY' })
  },
)

test(
  'a registry that hangs and is killed holds ingest back; then all goes on, and an unknown id waits as a letter to be replayed',
  { skip },
  async (t) => {
    const { url, process: server, stop } = await startSchemaRegistry()
    t.after(stop)
    const id = await register(url, 'payments-value', { schema: JSON.stringify(PAYMENT_SCHEMA) })
    const platform = await Platform.open(t, DEFINITIONS)
    const cut = async (): Promise<void> => {
      platform.context = { ...platform.context, schemas: new ConfluentRegistry(url, { timeoutMs: 300 }) }
      const role = new StreamRole(platform.context)
      assert.equal(await role.runOnce(), 0)
      assert.equal(role.waiting.get('payments')?.code, 'TM_SCHEMA_REGISTRY_UNAVAILABLE')
      assert.equal((await countDeadLetters(platform.context, 'payments')).pending, 0)
    }
    platform.context = { ...platform.context, schemas: new ConfluentRegistry(url) }
    await produce(platform.context, 'payments', [payment(id, 'a'), payment(UNKNOWN_ID, 'a')])
    await server.pause()
    await cut()
    server.resume()
    await server.kill()
    await cut()
    await server.start()
    platform.context = { ...platform.context, schemas: new ConfluentRegistry(url) }
    await platform.settle()
    assert.deepEqual((await platform.read('all', [{ card: 'a' }]))[0].values, [1])
    assert.deepEqual((await countDeadLetters(platform.context, 'payments')).byCode, { TM_SCHEMA_UNKNOWN: 1 })
    assert.deepEqual(await replayDeadLetters(platform.context, 'payments'), {
      replayed: 0,
      refused: 1,
      codes: { TM_SCHEMA_UNKNOWN: 1 },
    })
  },
)
