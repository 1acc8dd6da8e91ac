import { after, test } from 'node:test'
import type { TestContext } from 'node:test'
import assert from 'node:assert/strict'
import { openKafkaLog } from '../../stores/log/kafka/open.ts'
import type { Log } from '../../stores/log/log.ts'
import { missing } from '../services/installation.ts'
import { startKafka } from '../services/kafka-cluster.ts'
import { hasErrorCode } from '../support/folders.ts'
import { logContract } from './log.contract.ts'
import type { LogFixture } from './log.contract.ts'

const skip = missing('kafka')

let started: ReturnType<typeof startKafka> | null = null
after(async () => (await started)?.stop())

/** A broker of this file's own, without topics for each test. */
async function fixture(context: TestContext): Promise<LogFixture> {
  const { brokers } = await (started ??= startKafka())
  const opened: Log[] = []
  context.after(() => Promise.all(opened.map((log) => log.close())))
  const open = async (): Promise<Log> => {
    const log = await openKafkaLog({ url: `kafka://${brokers.join(',')}`, now: Date.now })
    opened.push(log)
    return log
  }
  const first = await open()
  for (const { name } of await first.listTopics()) await first.deleteTopic(name)
  return { open }
}

logContract('Kafka log', fixture, skip)

test('records of a Kafka log cannot be rewritten', { skip }, async (context) => {
  const log = await (await fixture(context)).open()
  await log.createTopic('a', { partitions: 1 })
  await assert.rejects(log.rewrite('a', 0, []), hasErrorCode('TM_LOG_REWRITE'))
})
