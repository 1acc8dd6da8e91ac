import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readServed } from '../../../inference/served-log.ts'
import { ServedLogger } from '../../../inference/served-logger.ts'
import type { ServedRow } from '../../../inference/served-record.ts'
import type { Log } from '../../../stores/log/log.ts'
import { Platform } from '../../support/platform.ts'
import { PAYMENTS } from '../../support/project.ts'

async function logged(log: Log): Promise<ServedRow[]> {
  const rows: ServedRow[] = []
  for await (const batch of readServed(log)) for (const { row } of batch) if (row !== null) rows.push(row)
  return rows
}

async function vectorsOf(platform: Platform, count: number) {
  const service = await platform.context.registry.service('fraud')
  const entities = Array.from({ length: count }, (_, i) => ({ card_id: `c-${i}` }))
  return platform.reader.read(
    service,
    entities,
    entities.map(() => ({ amount: 1 })),
  )
}

test('a share of the keys is logged: all rows of a key or none, the same keys in every process', async (context) => {
  const platform = await Platform.open(context, PAYMENTS)
  const { log } = platform.context
  const vectors = await vectorsOf(platform, 400)
  for (const process of ['one', 'two']) {
    const logger = new ServedLogger({ log, share: 0.25, rowsPerSecondMax: 10_000 })
    for (let i = 0; i < 3; i++) logger.offer(`${process}-${i}`, vectors)
    await logger.close()
    const { logged: taken, skipped, droppedRate } = logger.counts
    assert.deepEqual([taken + skipped, droppedRate], [1200, 0])
  }
  const times = new Map<unknown, number>()
  for (const { entity } of await logged(log)) times.set(entity.card_id, (times.get(entity.card_id) ?? 0) + 1)
  assert.deepEqual([...new Set(times.values())], [6])
  assert.ok(times.size > 60 && times.size < 140, `${times.size} of 400 keys`)
})

test('rows above the limit are counted, not kept; a log that refuses fails no request and is counted', async (context) => {
  const platform = await Platform.open(context, PAYMENTS)
  const { log } = platform.context
  const vectors = await vectorsOf(platform, 80)
  const limited = new ServedLogger({ log, rowsPerSecondMax: 50 })
  limited.offer('r', vectors)
  await limited.close()
  assert.deepEqual(limited.counts, { logged: 50, skipped: 0, droppedRate: 30, droppedAppend: 0 })
  assert.equal((await logged(log)).length, 50)

  const errors: unknown[] = []
  const refusing = new Proxy(log, {
    get: (target, name) =>
      name === 'append' ? () => Promise.reject(new Error('disk full')) : Reflect.get(target, name).bind(target),
  })
  const logger = new ServedLogger({ log: refusing, onError: (error) => errors.push(error) })
  logger.offer('r', vectors.slice(0, 5))
  await logger.flush()
  assert.deepEqual(logger.counts, { logged: 0, skipped: 0, droppedRate: 0, droppedAppend: 5 })
  assert.equal(errors.length, 1)
  await logger.close()
})
