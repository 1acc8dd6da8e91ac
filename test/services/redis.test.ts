import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import { missing } from './installation.ts'
import { info, startRedisCluster } from './redis-cluster.ts'
import { startRedisSentinel } from './redis-sentinel.ts'
import { startRedis } from './redis.ts'
import { sharedServer } from './shared-server.ts'
import { staysSilent } from './stays-silent.ts'
import { until } from './until.ts'

const skip = missing('redis')

/** A connection that breaks is what these tests are about: the calls say so. */
function quiet<Client extends Redis | Cluster>(client: Client): Client {
  return client.on('error', () => {}) as Client
}

test('redis: a script writes and a client reads', { skip }, async (t) => {
  const client = new Redis((await sharedServer('redis')).url)
  t.after(() => client.disconnect())
  const key = randomUUID()
  assert.equal(await client.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, key, Buffer.from([0, 255, 10])), 'OK')
  assert.deepEqual(await client.getBuffer(key), Buffer.from([0, 255, 10]))
})

test('redis: paused it answers nothing until it is resumed; kill -9 keeps what it answered', { skip }, async (t) => {
  const { url, node, stop } = await startRedis()
  t.after(stop)
  const client = quiet(new Redis(url))
  t.after(() => client.disconnect())
  for (let i = 0; i < 1000; i++) await client.set(`k${i}`, i)
  await node.pause()
  const answer = client.get('k7')
  await staysSilent(answer)
  node.resume()
  assert.equal(await answer, '7')
  await node.restart()
  assert.equal(await client.dbsize(), 1000)
  assert.equal(await client.get('k999'), '999')
})

test('redis cluster: keys lie on three nodes', { skip }, async (t) => {
  const { addresses } = await sharedServer('redisCluster')
  const client = quiet(new Cluster([...addresses]))
  t.after(() => client.disconnect())
  const run = randomUUID()
  for (let i = 0; i < 60; i++) await client.set(`${run}:${i}`, i)
  const found = await Promise.all(client.nodes('master').map((node) => node.keys(`${run}:*`)))
  assert.equal(found.length, 3)
  assert.ok(found.every((keys) => keys.length > 0))
  assert.equal(found.flat().length, 60)
})

test('redis cluster: the replica of a killed primary takes over its slots', { skip }, async (t) => {
  const { addresses, nodes, whole, stop } = await startRedisCluster({ replicas: 1 })
  t.after(stop)
  const client = quiet(new Cluster([...addresses]))
  t.after(() => client.disconnect())
  for (let i = 0; i < 60; i++) await client.set(`k${i}`, i)
  // What a failover loses are writes that the replica has not seen; here it has seen them.
  for (const [i, primary] of nodes.slice(0, 3).entries())
    await until(async () => {
      const [sent, got] = await Promise.all([info(primary, 'REPLICATION'), info(nodes[i + 3], 'REPLICATION')])
      return sent.get('master_repl_offset') === got.get('slave_repl_offset')
    })
  await nodes[0].kill()
  await until(async () => (await info(nodes[3], 'REPLICATION')).get('role') === 'master')
  await whole()
  for (let i = 0; i < 60; i++) assert.equal(await client.get(`k${i}`), String(i))
  await nodes[0].start()
  await until(async () => (await info(nodes[0], 'REPLICATION')).get('role') === 'slave')
})

test(
  'redis sentinel: the replica of a killed primary becomes the primary that clients are told',
  { skip },
  async (t) => {
    const { sentinels, primaryName, primary, replica, primaryPort, stop } = await startRedisSentinel()
    t.after(stop)
    const client = quiet(new Redis({ sentinels: [...sentinels], name: primaryName }))
    t.after(() => client.disconnect())
    await client.set('k', 'before')
    assert.equal(await client.wait(1, 5000), 1)
    assert.equal(await primaryPort(), primary.port)
    await primary.kill()
    await until(async () => (await primaryPort()) === replica.port)
    await until(async () => (await client.set('k2', 'after')) === 'OK')
    assert.equal(await client.get('k'), 'before')
    assert.equal(await replica.command('GET', 'k2'), 'after')
  },
)
