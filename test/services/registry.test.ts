import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { missing } from './installation.ts'
import { startSchemaRegistry } from './schema-registry.ts'
import { sharedServer } from './shared-server.ts'
import { staysSilent } from './stays-silent.ts'

const skip = missing('registry')

interface Answer {
  readonly status: number
  readonly body: { readonly id?: number; readonly schema?: string; readonly version?: number }
}

async function call(url: string, body?: unknown): Promise<Answer> {
  const request = { method: 'POST', headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' } }
  const answer = await fetch(url, body === undefined ? {} : { ...request, body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}

function avro(...fields: readonly unknown[]): { schema: string } {
  return { schema: JSON.stringify({ type: 'record', name: 'r', fields }) }
}
const A = { name: 'a', type: 'int' }

test('registry: schemas get ids, a compatible version is taken and an incompatible one refused', { skip }, async () => {
  const { url } = await sharedServer('registry')
  const subject = `${url}/subjects/${randomUUID()}-value`
  const { body: first } = await call(`${subject}/versions`, avro(A))
  assert.equal((await call(`${url}/schemas/ids/${first.id}`)).body.schema, avro(A).schema)
  await fetch(`${url}/config/${subject.split('/').at(-1)}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{"compatibility":"BACKWARD"}',
  })
  const second = await call(`${subject}/versions`, avro(A, { name: 'b', type: 'int', default: 0 }))
  assert.equal(second.status, 200)
  assert.notEqual(second.body.id, first.id)
  assert.equal((await call(`${subject}/versions/latest`)).body.version, 2)
  assert.equal((await call(`${subject}/versions`, avro({ name: 'a', type: 'string' }))).status, 409)
})

test('registry: paused it answers nothing until it is resumed; kill -9 keeps its schemas', { skip }, async (t) => {
  const { url, process: server, stop } = await startSchemaRegistry()
  t.after(stop)
  const { body } = await call(`${url}/subjects/s-value/versions`, avro(A))
  await server.pause()
  const answer = call(`${url}/schemas/ids/${body.id}`)
  await staysSilent(answer)
  server.resume()
  assert.equal((await answer).body.schema, avro(A).schema)
  await server.restart()
  assert.equal((await call(`${url}/schemas/ids/${body.id}`)).body.schema, avro(A).schema)
})
