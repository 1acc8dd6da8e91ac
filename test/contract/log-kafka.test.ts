import { after, test } from 'node:test'
import type { TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { openKafkaLog } from '../../stores/log/kafka/open.ts'
import type { Log } from '../../stores/log/log.ts'
import { missing } from '../services/installation.ts'
import { quietClient, startKafka } from '../services/kafka-cluster.ts'
import { until } from '../services/until.ts'
import { hasErrorCode } from '../support/folders.ts'
import { Random, runSeed } from '../support/random.ts'
import { logContract } from './log.contract.ts'
import type { LogFixture } from './log.contract.ts'

const skip = missing('kafka')

let started: ReturnType<typeof startKafka> | null = null
after(async () => (await started)?.stop())

interface KafkaFixture extends LogFixture {
  readonly brokers: readonly string[]
}

/** A broker of this file's own, without topics for each test. Topics `<group>.<name>` are of that group. */
async function fixture(context: TestContext): Promise<KafkaFixture> {
  const { brokers } = await (started ??= startKafka())
  const opened: Log[] = []
  context.after(() => Promise.all(opened.map((log) => log.close())))
  const groupOf = (topic: string): string | null => (topic.includes('.') ? topic.split('.')[0] : null)
  const open = async (): Promise<Log> => {
    const log = await openKafkaLog({ url: `kafka://${brokers.join(',')}`, now: Date.now, groupOf })
    opened.push(log)
    return log
  }
  const admin = quietClient(brokers).admin()
  await admin.connect()
  const listed = async (): Promise<string[]> => (await admin.listTopics()).filter((name) => !name.startsWith('__'))
  const topics = await listed()
  if (topics.length > 0) await admin.deleteTopics({ topics })
  // The controller has deleted them; the broker learns of it a little later.
  await until(async () => (await listed()).length === 0)
  await admin.disconnect()
  return { open, brokers }
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)

logContract('Kafka log', fixture, skip)

test('records of a Kafka log cannot be rewritten', { skip }, async (context) => {
  const log = await (await fixture(context)).open()
  await log.createTopic('a', { partitions: 1 })
  await assert.rejects(log.rewrite('a', 0, []), hasErrorCode('TM_LOG_REWRITE'))
})

test('Kafka log: where a partition ends does not count what is no record', { skip }, async (context) => {
  const log = await (await fixture(context)).open()
  for (const topic of ['g.a', 'g.b']) await log.createTopic(topic, { partitions: 1 })
  assert.equal(await log.endOffset('g.a', 0), 0)
  const place = { topic: 'g.a', partition: 0, incarnation: (await log.topic('g.a'))!.incarnation }
  for (let i = 0; i < 3; i++) {
    const { baseOffset } = await log.append('g.a', 0, [bytes(i)])
    assert.equal(await log.endOffset('g.a', 0), baseOffset + 1)
    assert.equal((await log.readOn(place, baseOffset, 1 << 20)).nextOffset, baseOffset + 2)
  }
  const late = [
    { topic: 'g.a', partition: 0, values: [bytes(9)] },
    { topic: 'g.b', partition: 0, values: [], ifEnd: 7 },
  ]
  await assert.rejects(log.appendAll(late), hasErrorCode('TM_LOG_CONFLICT'))
  assert.equal(await log.endOffset('g.a', 0), 5)
})

test(
  'Kafka log: an append says how far back no other record stands, whoever appended in between',
  { skip },
  async (context) => {
    const { open } = await fixture(context)
    const [log, other] = [await open(), await open()]
    for (const topic of ['g.a', 'g.b']) await log.createTopic(topic, { partitions: 2 })
    const append = async (writer: Log, values: number): Promise<{ from: number; to: number; end: number }> => {
      const value = Array.from({ length: values }, () => bytes(1))
      const place = { topic: 'g.a', partition: 1 }
      const [, { emptyFrom, baseOffset }] = await writer.appendAll([
        { topic: 'g.b', partition: 0, values: value },
        { ...place, values: value },
      ])
      const between = (await log.read('g.a', 1, emptyFrom, 1 << 20)).filter(({ offset }) => offset < baseOffset)
      assert.deepEqual(between, [])
      return { from: emptyFrom, to: baseOffset, end: baseOffset + values }
    }
    const first = await append(log, 2)
    assert.equal(first.from, first.to)
    const second = await append(log, 1)
    assert.deepEqual([second.from, second.to], [first.end, first.end + 1])
    const foreign = await append(other, 1)
    const third = await append(log, 1)
    assert.ok(third.from >= foreign.end)
    assert.equal((await append(log, 3)).from, third.end)
  },
)

test('Kafka log: topics of others are taken as they are', { skip }, async (context) => {
  const { open, brokers } = await fixture(context)
  const client = quietClient(brokers)
  const admin = client.admin()
  const producer = client.producer()
  await Promise.all([admin.connect(), producer.connect()])
  context.after(() => Promise.all([admin.disconnect(), producer.disconnect()]))
  await admin.createTopics({
    topics: [
      {
        topic: 'payments',
        numPartitions: 3,
        configEntries: [
          { name: 'cleanup.policy', value: 'compact' },
          { name: 'message.timestamp.type', value: 'CreateTime' },
        ],
      },
    ],
  })
  const log = await open()
  const name = log.foreignTopic('payments') ?? ''
  assert.equal((await log.createTopic(name, { partitions: 1 })).partitions, 3)
  await producer.send({
    topic: 'payments',
    messages: [
      { partition: 2, key: 'k', value: 'v', headers: { h: 'x', __value_schema_id: '\u0001id' }, timestamp: '1234' },
      { partition: 2, key: '12345678', value: null },
    ],
  })
  const [first, second] = await log.read(name, 2, 0, 1 << 20)
  assert.deepEqual([Buffer.from(first.value).toString(), first.appendTime], ['v', 1234])
  assert.deepEqual(
    [first.schemaId, second.schemaId].map((id) => id && Buffer.from(id).toString()),
    ['\u0001id', undefined],
  )
  assert.equal(second.value.length, 0)
  assert.ok(second.appendTime > 1234)
  assert.deepEqual(await log.listTopics(), [])
})

test(
  'Kafka log: no append of a group is stamped before a settled time, whoever makes it',
  { skip },
  async (context) => {
    const random = new Random(runSeed('settled times'))
    const { open } = await fixture(context)
    const log = await open()
    for (const topic of ['g.a', 'g.b']) await log.createTopic(topic, { partitions: 2 })
    const writers = [await open(), await open()]
    const settler = await open()
    const appended: { topic: string; partition: number; offset: number; time: number; after: number }[] = []
    let settled = 0
    await Promise.all([
      ...writers.map(async (writer) => {
        for (let i = 0; i < 15; i++) {
          const after = settled
          const [topic, partition] = [random.pick(['g.a', 'g.b']), random.below(2)]
          const { baseOffset, appendTime } = await writer.append(topic, partition, [bytes(i)])
          appended.push({ topic, partition, offset: baseOffset, time: appendTime, after })
        }
      }),
      (async () => {
        for (let i = 0; i < 15; i++) {
          const time = await settler.settledTime('g.a', { fresh: random.below(3) > 0 })
          assert.ok(time >= settled, `${time} after ${settled}`)
          settled = time
          // What is stamped earlier can be read now.
          for (const { topic, partition, offset, time: stamped } of appended)
            if (stamped < time) assert.equal((await settler.read(topic, partition, offset, 1))[0]?.offset, offset)
        }
      })(),
    ])
    for (const { topic, partition, offset, time, after } of appended) {
      assert.ok(time >= after, `stamped ${time}, though ${after} was settled before`)
      assert.equal((await log.read(topic, partition, offset, 1))[0].appendTime, time)
    }
  },
)

test('Kafka log: a broker whose clock is behind dates no append before a settled time', { skip }, async (context) => {
  const { open, brokers } = await fixture(context)
  const log = await open()
  await log.createTopic('g.a', { partitions: 1 })
  const settled = await log.settledTime('g.a', { fresh: true })
  assert.ok(Math.abs(settled - Date.now()) < 60_000)
  // As if the broker that settled this were an hour ahead of the one that leads the partition.
  const ahead = Date.now() + 3_600_000
  const producer = quietClient(brokers).producer()
  await producer.connect()
  context.after(() => producer.disconnect())
  const value = JSON.stringify({ settled: ahead, alone: false, quietSince: 0 })
  await producer.send({ topic: 'tidemark.settled.g', messages: [{ value }] })
  const other = await open()
  assert.equal(await other.settledTime('g.a'), ahead)
  const { baseOffset, appendTime } = await other.append('g.a', 0, [bytes(1), bytes(2)])
  assert.equal(appendTime, ahead)
  assert.equal(await (await open()).settledTime('g.a', { fresh: true }), ahead)
  const read = await log.read('g.a', 0, baseOffset, 1 << 20)
  assert.deepEqual(
    read.map(({ appendTime: time }) => time),
    [ahead, ahead],
  )
})
