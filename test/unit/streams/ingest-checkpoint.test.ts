import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../../stores/log/log.ts'
import { replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import { resumeSource } from '../../../streams/ingest/resume-source.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { StreamRole } from '../../../streams/stream-role.ts'
import { readStopped } from '../../../streams/stopped-partitions.ts'
import type { StreamContext } from '../../../streams/stream-context.ts'
import { sourceStatus } from '../../../streams/wait.ts'
import { Platform } from '../../support/platform.ts'

const definitions = (
  note: string,
): string => `import { count, entity, featureService, featureView, stream, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), note: ${note}, paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const visits = stream('visits', { schema: { card_id: t.string(), at: t.timestamp() }, eventTime: 'at' })
export const cards = featureView('cards', { entity: card, from: payments, features: { n: count().over('lifetime') } })
export const seen = featureView('seen', { entity: card, from: visits, features: { n: count().over('lifetime') } })
export const fraud = featureService('fraud', { features: [cards.all(), seen.all()] })
`

/** A process that is killed right after its next append to the log. */
function killedAfterAppend({ log, ...context }: StreamContext): StreamContext {
  const appendAll: Log['appendAll'] = async (...call) => {
    await log.appendAll(...call)
    throw new Error('killed')
  }
  const wrapped = new Proxy(log, {
    get: (target, name) => {
      const member = name === 'appendAll' ? appendAll : (Reflect.get(target, name) as unknown)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  return { ...context, log: wrapped }
}

async function counts(platform: Platform): Promise<unknown[]> {
  const { cells } = await platform.readOne('fraud', { card_id: 'a' })
  return [cells.cards__n.value, cells.seen__n.value]
}

test('an ingest that is killed after its append, then a schema that takes in what it refused: the letter counts once', async (context) => {
  const platform = await Platform.open(context, definitions('t.string()'))
  const event = (note: string | null) => ({ card_id: 'a', note, paid_at: platform.clock.ms })
  await platform.produce('payments', [event('good'), event(null)])
  await assert.rejects(new IngestRole(killedAfterAppend(platform.context)).runOnce(), /killed/)
  await platform.apply(definitions('t.string().nullable()'))
  await platform.settle()
  assert.deepEqual(await counts(platform), [1, 0])
  assert.equal((await replayDeadLetters(platform.context, 'payments')).replayed, 1)
  await platform.settle()
  assert.deepEqual(await counts(platform), [2, 0])
})

test('a source that begins beyond its checkpoint stops with a code; other sources go on; a first read begins where the source does', async (context) => {
  const platform = await Platform.open(context, definitions('t.string()'))
  const { log } = platform.context
  const topic = 'source.payments'
  const send = async (): Promise<void> => {
    platform.clock.ms += 1000
    await platform.produce('payments', [{ card_id: 'a', note: '', paid_at: platform.clock.ms }])
  }
  const drop = async (offset: number): Promise<void> => log.rewrite(topic, 0, [{ offset, value: null }])
  await send()
  await send()
  await drop(0)
  const role = new StreamRole(platform.context)
  while ((await role.runOnce()) > 0);
  assert.deepEqual([role.stopped.size, await counts(platform)], [0, [1, 0]])
  await send()
  await send()
  await drop(1)
  await drop(2)
  await platform.produce('visits', [{ card_id: 'a', at: platform.clock.ms }])
  while ((await role.runOnce()) > 0);
  const [[name, { code, message }]] = [...role.stopped]
  assert.deepEqual([name, code, role.stopped.size], ['source.payments/0', 'TM_SOURCE_TRUNCATED', 1])
  assert.deepEqual(await readStopped(platform.context.metadata), [{ partition: name, code, message }])
  assert.match(message, /begins at offset 3.*up to 2.*2 to 2 are gone.*Restore them/)
  assert.deepEqual(await counts(platform), [1, 1])
  const [{ ingestedOffset, endOffset }] = await sourceStatus(platform.context)
  assert.deepEqual([ingestedOffset, endOffset], [2, 4])
  // A role that starts anew, with what is missing in its place again, has nothing that stopped.
  await log.appendAll([], {
    name: 'ingest/payments/0',
    value: Buffer.from(
      JSON.stringify({ incarnation: (await log.topic(topic))?.incarnation, nextOffset: 3, lastSent: {} }),
    ),
  })
  const next = new StreamRole(platform.context)
  while ((await next.runOnce()) > 0);
  assert.deepEqual([next.stopped.size, await readStopped(platform.context.metadata)], [0, []])
})

test('a source whose topic was made anew stops alone, and goes on with the new one when told to', async (context) => {
  const platform = await Platform.open(context, definitions('t.string()'))
  const { log } = platform.context
  const event = (note: string) => ({ card_id: 'a', note, paid_at: platform.clock.ms })
  await platform.produce('payments', [event('old')])
  await platform.settle()
  assert.deepEqual(await resumeSource(platform.context, 'payments'), [])
  await log.deleteTopic('source.payments')
  await log.createTopic('source.payments', { partitions: 1 })
  await platform.produce('payments', [event('new'), event('new')])
  await platform.produce('visits', [{ card_id: 'a', at: platform.clock.ms }])
  const role = new StreamRole(platform.context)
  while ((await role.runOnce()) > 0);
  assert.deepEqual(
    [...role.stopped].map(([name, { code }]) => [name, code]),
    [['source.payments/0', 'TM_SOURCE_RECREATED']],
  )
  assert.deepEqual(await counts(platform), [1, 1])
  const [resumed, ...others] = await resumeSource(platform.context, 'payments')
  assert.deepEqual([resumed.code, resumed.nextOffset, others], ['TM_SOURCE_RECREATED', 0, []])
  await platform.settle()
  // Events of the old topic count, those of the new one too.
  assert.deepEqual(await counts(platform), [3, 1])
})
