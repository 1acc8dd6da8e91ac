import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { CompressionTypes } from 'kafkajs'
import type { Producer } from 'kafkajs'
import { quietClient } from '../services/kafka-cluster.ts'
import { freshDatabase } from '../services/fresh-database.ts'
import { missing } from '../services/installation.ts'
import { startRedis } from '../services/redis.ts'
import { sharedServer } from '../services/shared-server.ts'
import { CliProcess, tidemark, tidemarkJson } from '../support/cli-process.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random, runSeed } from '../support/random.ts'

const skip = missing('kafka', 'redis', 'postgres', 's3')

interface Answer {
  readonly rows: readonly { readonly values: readonly unknown[]; readonly statuses: readonly string[] }[]
}

test(
  'the command line on Kafka, Redis, PostgreSQL and S3: served vectors verify, and Redis emptied under way changes no value',
  { skip, timeout: 300_000 },
  async (context) => {
    const random = new Random(runSeed('command line on engines'))
    const redis = await startRedis()
    context.after(redis.stop)
    const { url: endpoint, credentials } = await sharedServer('s3')
    process.env.AWS_ACCESS_KEY_ID = credentials.accessKeyId
    process.env.AWS_SECRET_ACCESS_KEY = credentials.secretAccessKey
    const s3 = new S3Client({ endpoint, forcePathStyle: true, region: 'us-east-1', credentials })
    context.after(() => s3.destroy())
    const Bucket = `b-${randomUUID()}`
    await s3.send(new CreateBucketCommand({ Bucket }))
    const { brokers } = await sharedServer('kafka')
    const topic = `payments-${randomUUID()}`
    const producer = await othersTopic(context, brokers, topic)
    const settings = {
      log: `kafka://${brokers.join(',')}/d-${randomUUID()}`,
      online: redis.url,
      metadata: await freshDatabase(context),
      objects: `s3://${Bucket}/tidemark?endpoint=${endpoint}`,
      buckets: 16,
      partitions: 2,
    }
    const project = temporaryProject(context, {
      'features/card.ts': PAYMENTS.replace("stream('payments', {", `stream('payments', { topic: '${topic}',`),
      'tidemark.config.ts': `export default ${JSON.stringify(settings)}`,
    })
    await tidemarkJson(project, 'apply')
    const produce = async (): Promise<void> => {
      const events = Array.from({ length: 200 }, () => ({
        card_id: `c-${random.below(20)}`,
        merchant: random.pick(['a', null]),
        amount: random.pick([0.1, 0.2, 12.5]),
        paid_at: Date.now() - random.below(72 * 3_600_000),
      }))
      const path = join(project, `${randomUUID()}.jsonl`)
      const [own, others] = [events.slice(0, 100), events.slice(100)]
      writeFileSync(path, own.map((event) => `${JSON.stringify(event)}\n`).join(''))
      assert.deepEqual(await tidemarkJson(project, 'produce', 'payments', path), {
        accepted: own.length,
        refused: 0,
        codes: {},
      })
      await producer.send({
        topic,
        compression: CompressionTypes.GZIP,
        messages: others.flatMap((event) => [
          { key: event.card_id, value: JSON.stringify(event), headers: { trace: 'x' }, timestamp: '1' },
          ...(random.below(10) === 0 ? [{ key: event.card_id, value: null }] : []),
        ]),
      })
      produced += events.length
    }
    let produced = 0
    const tree = new CliProcess(context, project, 'start', '--port', '0')
    const [, url] = await tree.line(/serving features on (http:\S+)/)
    const ask = async (): Promise<Answer> => {
      const response = await fetch(`${url}/v1/features/fraud`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          entities: Array.from({ length: 20 }, (_, i) => ({ card_id: `c-${i}` })),
          request: Array.from({ length: 20 }, () => ({ amount: 1 })),
        }),
      })
      assert.equal(response.status, 200, await response.clone().text())
      return (await response.json()) as Answer
    }
    const counts = ({ rows }: Answer): unknown[] => rows.map(({ values }) => values)
    await produce()
    await tidemarkJson(project, 'wait', '--timeout', '60s')
    await ask()
    await redis.node.command('FLUSHALL')
    await produce()
    await tidemarkJson(project, 'wait', '--timeout', '60s')
    const before = counts(await ask())
    await redis.node.command('FLUSHALL')
    // Nothing is produced: the worker finds out by itself.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    await tidemarkJson(project, 'wait', '--timeout', '60s')
    assert.deepEqual(counts(await ask()), before)
    tree.child.kill('SIGTERM')
    assert.equal(await tree.exited, 0, tree.output)

    const { rows, mismatches, pending } = await tidemarkJson<Record<string, unknown>>(project, 'verify')
    assert.deepEqual([rows, mismatches, pending], [60, [], 0])
    const forgotten = await tidemark(project, 'forget', 'card', 'card_id=c-1')
    assert.equal(forgotten.code, 1)
    assert.match(forgotten.stderr, /^TM_LOG_REWRITE: .*nothing was changed/)
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'tidemark/' }))
    assert.ok(Contents.length > 0)
    for (const embedded of ['log', 'online', 'objects', 'metadata.sqlite'])
      assert.equal(existsSync(join(project, '.tidemark', embedded)), false, embedded)
  },
)

/** A topic that Tidemark did not make, and a producer of it that is not Tidemark's. */
async function othersTopic(context: TestContext, brokers: readonly string[], topic: string): Promise<Producer> {
  const client = quietClient(brokers)
  const [admin, producer] = [client.admin(), client.producer()]
  await Promise.all([admin.connect(), producer.connect()])
  context.after(() => Promise.all([admin.disconnect(), producer.disconnect()]))
  const configEntries = [{ name: 'retention.ms', value: '-1' }]
  await admin.createTopics({ topics: [{ topic, numPartitions: 3, configEntries }] })
  return producer
}

test('engines that are not there, or are no engines, are named with their setting', { skip }, async (context) => {
  for (const [settings, code] of [
    [{ online: 'redis://127.0.0.1:1' }, 'TM_ONLINE_UNAVAILABLE'],
    [{ metadata: 'postgres://127.0.0.1:1/x' }, 'TM_METADATA_UNAVAILABLE'],
    [{ objects: 's3://bucket?endpoint=http://127.0.0.1:1' }, 'TM_OBJECTS_UNAVAILABLE'],
    [{ online: 'memcached://x' }, 'TM_CONFIG'],
    [{ metadata: 'mysql://x' }, 'TM_CONFIG'],
    [{ objects: 'gs://bucket' }, 'TM_CONFIG'],
    [{ log: 'kafka://127.0.0.1:1' }, 'TM_LOG_UNAVAILABLE'],
    [{ log: 'kafka://127.0.0.1' }, 'TM_CONFIG_LOG'],
    [{ log: 'pulsar://127.0.0.1:1' }, 'TM_CONFIG'],
    [{ log: 'kafka://127.0.0.1:1', clock: { from: '2001-06-01T00:00Z', rate: 2 } }, 'TM_CONFIG'],
    [{ online: 'redis://127.0.0.1:1', clock: { from: '2001-06-01T00:00Z', rate: 2 } }, 'TM_CONFIG'],
  ] as const) {
    const project = temporaryProject(context, {
      'features/card.ts': PAYMENTS,
      'tidemark.config.ts': `export default ${JSON.stringify(settings)}`,
    })
    const { code: exit, stderr } = await tidemark(project, 'status')
    assert.equal(exit, 1, stderr)
    assert.match(stderr, new RegExp(`^${code}: `), JSON.stringify(settings))
  }
})
