import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ENTITY_KEY_BYTES_MAX } from '../../../stores/online/online-store.ts'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { keyedTopic } from '../../../streams/stream-context.ts'
import { hasErrorCode } from '../../support/folders.ts'
import { STREAM_LIMITS } from '../../../streams/stream-limits.ts'
import { Platform } from '../../support/platform.ts'

const LARGE = { ...STREAM_LIMITS, messageBytesMax: 32 << 20 }
const DEFINITIONS = `import { count, entity, featureService, featureView, stream, t } from 'tidemark'
export const card = entity('card', { card_id: t.string(), bank: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), bank: t.string(), note: t.string().nullable(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cards = featureView('cards', { entity: card, from: payments, features: { n: count().over('lifetime') } })
export const fraud = featureService('fraud', { features: [cards.all()] })
`
const TOPIC = keyedTopic('payments.card')

test('an entity key of the greatest length is taken, a longer one is a dead letter, from events and from files', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS)
  const event = (card_id: string) => ({ card_id, bank: 'b', note: null, paid_at: platform.clock.ms })
  // Two strings in a key: each has its length in front (2 bytes and 1 byte), and the bank has one byte.
  const longest = 'k'.repeat(ENTITY_KEY_BYTES_MAX - 4)
  const expected = { accepted: 2, refused: 2, codes: { TM_KEY_TOO_LONG: 2 } }
  const rows = [event('a'), event(`${longest}k`), event(longest), event('ü'.repeat(ENTITY_KEY_BYTES_MAX / 2))]
  assert.deepEqual(await platform.send('payments', rows), expected)
  assert.deepEqual(await platform.import('payments', rows), expected)
  await platform.settle()
  for (const card_id of ['a', longest]) {
    const { cells } = await platform.readOne('fraud', { card_id, bank: 'b' })
    assert.deepEqual(cells.cards__n, { value: 2, status: 'PRESENT' })
  }
})

test('an event of many megabytes is applied like any other where messages may be that large', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS)
  platform.context = { ...platform.context, limits: LARGE }
  const event = (note: string) => ({ card_id: 'a', bank: 'b', note, paid_at: platform.clock.ms })
  const rows = [event('small'), event('large '.repeat(1 << 20)), event('small')]
  assert.deepEqual(await platform.send('payments', rows), { accepted: 3, refused: 0, codes: {} })
  const { cells } = await platform.readOne('fraud', { card_id: 'a', bank: 'b' })
  assert.deepEqual(cells.cards__n, { value: 3, status: 'PRESENT' })
})

test('a damaged block stops its partition with a code, after what came before it; the others go on', async (context) => {
  for (const damage of [
    (block: Uint8Array) => Uint8Array.from([9, ...block.subarray(1)]),
    (block: Uint8Array) => block.subarray(0, block.length >> 1),
    (block: Uint8Array) => block.map((byte, i) => (i === block.length - 9 ? byte ^ 4 : byte)),
    () => new Uint8Array(0),
  ]) {
    const platform = await Platform.open(context, DEFINITIONS, { partitions: 2 })
    const { log } = platform.context
    const round = async (): Promise<void> => {
      const cards = Array.from({ length: 20 }, (_, i) => ({ card_id: `c-${i}`, bank: 'b', paid_at: platform.clock.ms }))
      await platform.produce('payments', cards)
      await new IngestRole(platform.context).runOnce()
    }
    await round()
    const [{ value }] = await log.read(TOPIC, 0, 0, 1)
    await log.append(TOPIC, 0, [damage(value)])
    await round()
    const role = new ApplyRole(platform.context)
    while ((await role.runOnce()) > 0);
    assert.deepEqual(
      [...role.stopped].map(([name, { code }]) => [name, code]),
      [['payments.card/0', 'TM_BLOCK_UNREADABLE']],
    )
    const counts = new Set<unknown>()
    for (let i = 0; i < 20; i++)
      counts.add(
        (
          await platform.reader.read(
            await platform.context.registry.service('fraud'),
            [{ card_id: `c-${i}`, bank: 'b' }],
            [],
          )
        )[0].values[0],
      )
    assert.deepEqual(counts, new Set([1, 2]))
    await assert.rejects(platform.settle(), hasErrorCode('TM_BLOCK_UNREADABLE'))
    await platform.close()
  }
})
