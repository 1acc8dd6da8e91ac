import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { Kafka } from 'kafkajs'
import { missing } from './installation.ts'
import { quietClient, startKafka } from './kafka-cluster.ts'
import { sharedServer } from './shared-server.ts'
import { until } from './until.ts'
import { staysSilent } from './stays-silent.ts'

const skip = missing('kafka')

async function createTopic(client: Kafka, partitions: number): Promise<string> {
  const admin = client.admin()
  await admin.connect()
  const topic = `t-${randomUUID()}`
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true })
  await admin.disconnect()
  return topic
}

async function append(client: Kafka, topic: string, values: readonly string[]): Promise<void> {
  const producer = client.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  await producer.send({ topic, acks: -1, messages: values.map((value) => ({ key: value, value })) })
  await producer.disconnect()
}

/** The first `count` values by a fresh group, in sorted order. */
async function read(client: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = client.consumer({ groupId: `g-${randomUUID()}`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  const values: string[] = []
  await new Promise<void>((resolve, reject) => {
    const eachMessage = ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
      values.push(String(message.value))
      if (values.length >= count) resolve()
      return Promise.resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
  return values.sort()
}

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

test('kafka: a group reads what was produced; what a transaction aborted is not read', { skip }, async () => {
  const { brokers } = await sharedServer('kafka')
  const client = quietClient(brokers)
  const topic = await createTopic(client, 4)
  await append(client, topic, names('a', 10))
  const producer = client.producer({ transactionalId: `x-${randomUUID()}`, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (const [prefix, end] of [
    ['aborted', 'abort'],
    ['b', 'commit'],
  ] as const) {
    // A transaction begun right after another may have to wait for its markers.
    await until(async () => {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: names(prefix, 5).map((value) => ({ key: value, value })) })
      await transaction[end]()
      return true
    })
  }
  await producer.disconnect()
  assert.deepEqual(await read(client, topic, 15), [...names('a', 10), ...names('b', 5)].sort())
})

test(
  'kafka: a paused broker answers nothing until it is resumed; kill -9 keeps what it confirmed',
  { skip },
  async (t) => {
    const { brokers, nodes, stop } = await startKafka()
    t.after(stop)
    const client = quietClient(brokers)
    const topic = await createTopic(client, 2)
    await append(client, topic, names('a', 50))
    const admin = client.admin()
    await admin.connect()
    await nodes[0].pause()
    const offsets = admin.fetchTopicOffsets(topic)
    await staysSilent(offsets)
    nodes[0].resume()
    assert.equal((await offsets).length, 2)
    await admin.disconnect()

    const pid = nodes[0].pid
    await nodes[0].restart()
    assert.notEqual(nodes[0].pid, pid)
    await append(client, topic, names('b', 50))
    assert.deepEqual(await read(client, topic, 100), [...names('a', 50), ...names('b', 50)].sort())
  },
)

test('kafka: leaders move when a broker of three is killed, and nothing confirmed is lost', { skip }, async (t) => {
  const { brokers, nodes, stop } = await startKafka({ nodes: 3 })
  t.after(stop)
  const client = quietClient(brokers)
  const topic = await createTopic(client, 1)
  await append(client, topic, names('a', 50))
  const admin = client.admin()
  await admin.connect()
  const leader = async (): Promise<number> =>
    (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions[0].leader
  const first = await leader()
  await nodes[first - 1].kill()
  await until(async () => ![first, -1].includes(await leader()))
  await append(client, topic, names('b', 50))
  await nodes[first - 1].start()
  const inSync = async (): Promise<number> =>
    (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions[0].isr.length
  await until(async () => (await inSync()) === 3)
  await admin.disconnect()
  assert.deepEqual(await read(client, topic, 100), [...names('a', 50), ...names('b', 50)].sort())
})
