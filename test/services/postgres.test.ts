import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from 'pg'
import { freshDatabase } from './fresh-database.ts'
import { missing } from './installation.ts'
import { startPostgres } from './postgres.ts'
import { staysSilent } from './stays-silent.ts'

const skip = missing('postgres')

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

test('postgres: every test has a database of its own', { skip }, async (t) => {
  const urls = [await freshDatabase(t), await freshDatabase(t)]
  for (const url of urls) {
    const client = await connect(url)
    await client.query('create table events (id bigint primary key, body jsonb)')
    await client.query('insert into events values ($1, $2)', ['9007199254740993', { a: 1 }])
    assert.deepEqual((await client.query('select * from events')).rows, [{ id: '9007199254740993', body: { a: 1 } }])
    await client.end()
  }
})

test(
  'postgres: paused it answers nothing until it is resumed; kill -9 keeps what was committed',
  { skip },
  async (t) => {
    const { url, process: server, stop } = await startPostgres()
    t.after(stop)
    const client = await connect(url)
    await client.query('create table t (n int)')
    await client.query('insert into t select generate_series(1, 1000)')
    await server.pause()
    const answer = client.query('select count(*)::int as n from t')
    await staysSilent(answer)
    server.resume()
    assert.deepEqual((await answer).rows, [{ n: 1000 }])
    await client.query('begin')
    await client.query('insert into t values (1001)')
    await server.restart()
    const again = await connect(url)
    assert.deepEqual((await again.query('select count(*)::int as n from t')).rows, [{ n: 1000 }])
    await again.end()
  },
)
