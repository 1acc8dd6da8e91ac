import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { ArchiveRole } from '../../../streams/archive/archive.ts'
import { BackPressure } from '../../../streams/ingest/back-pressure.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { viewProgress } from '../../../streams/apply/live-views.ts'
import { bucketsOf } from '../../../streams/apply/partition-worker.ts'
import { reportSources } from '../../../streams/status.ts'
import { keyedTopic } from '../../../streams/stream-context.ts'
import { STREAM_LIMITS } from '../../../streams/stream-limits.ts'
import { partitionStatus } from '../../../streams/wait.ts'
import { Platform } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const NOW = Date.UTC(2024, 5, 1)
const KEYED_LOG = 'payments.card'
const BACKLOG_BYTES = 100_000
/** Ingest finishes a fetch that it began; a fetch ends with a whole record. */
const FETCH_BYTES = BACKLOG_BYTES + 50_000
const RECORDS = 80
const EVENTS_PER_RECORD = 40
const NOTE_LENGTH = 1000
/** Longer than a look lasts, and much longer than any pause of a consumer that works. */
const LOOK_MS = 150
const STILL_MS = 61_000
const definitions = (feature: string, service = ''): string => `
import { count, entity, featureService, featureView, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), amount: t.float64(), note: t.string(), at: t.timestamp() }, eventTime: 'at',
})
export const view = featureView('pay', { entity: card, from: payments, features: { n: count().over('lifetime'), ${feature} } })
${service}
`
const SERVICE = "export const svc = featureService('svc', { features: [view.all()] })"

/** A deployment with one partition, whose ingest, apply and archive take steps when the test says so, by a clock of the test. */
class Flow {
  readonly platform: Platform
  readonly random: Random
  ms = 0
  readonly ingest: IngestRole
  readonly apply: ApplyRole
  readonly archive: ArchiveRole

  constructor(platform: Platform, random: Random) {
    this.platform = platform
    this.random = random
    const { context } = platform
    platform.context = { ...context, limits: { ...STREAM_LIMITS, backlogBytesMax: BACKLOG_BYTES } }
    const pressure = new BackPressure(platform.context, { clock: () => this.ms })
    this.ingest = new IngestRole(platform.context, null, pressure)
    this.apply = new ApplyRole(platform.context)
    this.archive = new ArchiveRole(platform.context)
  }

  /** Events that do not compress, as a producer sends them that is faster than everything else. */
  async produce(records: number): Promise<void> {
    const noise = Buffer.from(Int32Array.from({ length: 1 << 16 }, () => this.random.below(2 ** 32)).buffer)
    const text = noise.toString('base64')
    for (let record = 0; record < records; record++) {
      const lines = Array.from({ length: EVENTS_PER_RECORD }, (_, i) => {
        const at = (record * 7919 + i * NOTE_LENGTH) % (text.length - NOTE_LENGTH)
        return JSON.stringify({ card_id: `c${i % 3}`, amount: 1, note: text.slice(at, at + NOTE_LENGTH), at: NOW })
      })
      await this.platform.context.log.append('source.payments', 0, [Buffer.from(lines.join('\n'))])
    }
  }

  async step(role: { runOnce(): Promise<number> }): Promise<number> {
    this.ms += LOOK_MS
    this.platform.clock.ms += LOOK_MS
    return role.runOnce()
  }

  /** Bytes of blocks that are not applied, and not archived. */
  async backlog(): Promise<{ applied: number; archived: number }> {
    const { context } = this.platform
    const [{ archivedOffset }] = await partitionStatus(context)
    // Buckets without events lag behind: the furthest marker says what is applied.
    const markers = await context.online.markers(KEYED_LOG, bucketsOf(context, 0))
    const appliedOffset = Math.max(...markers.map((marker) => marker?.nextOffset ?? 0))
    return { applied: await this.#bytesFrom(appliedOffset), archived: await this.#bytesFrom(archivedOffset) }
  }

  async #bytesFrom(offset: number): Promise<number> {
    const records = await this.platform.context.log.read(keyedTopic(KEYED_LOG), 0, offset, Infinity)
    return records.reduce((sum, { value }) => sum + value.length, 0)
  }

  async isIngested(): Promise<boolean> {
    const [{ lagRecords }] = await reportSources(this.platform.context)
    return lagRecords === 0
  }

  async heldBy(): Promise<string | null> {
    return (await reportSources(this.platform.context))[0].heldBack?.by ?? null
  }

  async count(): Promise<number> {
    let total = 0
    for (const card_id of ['c0', 'c1', 'c2'])
      total += Number((await this.platform.readOne('svc', { card_id })).cells.pay__n.value ?? 0)
    return total
  }
}

async function open(test: Parameters<typeof Platform.open>[0], name: string, service = SERVICE): Promise<Flow> {
  const platform = await Platform.open(test, definitions("total: sum('amount').over('lifetime')", service), {
    now: NOW,
    partitions: 1,
  })
  return new Flow(platform, new Random(runSeed(name)))
}

test('a producer faster than apply and archive: ingest stays near both, and all of it comes through', async (context) => {
  const flow = await open(context, 'back-pressure')
  await flow.produce(RECORDS)
  const held = { apply: 0, archive: 0 }
  let furthest = 0
  let rounds = 0
  for (let round = 0; !(await flow.isIngested()); round++) {
    assert.ok(round < 2000, 'no way on')
    await flow.step(flow.ingest)
    const by = await flow.heldBy()
    rounds = round
    if (by === 'apply' || by === 'archive') held[by]++
    assert.equal(by !== null, flow.ingest.isHeldBack)
    const { applied, archived } = await flow.backlog()
    furthest = Math.max(furthest, applied, archived)
    // Until a consumer was seen to move once, nobody waits for it.
    if (round > 6) assert.ok(Math.max(applied, archived) <= BACKLOG_BYTES + FETCH_BYTES, `${applied}, ${archived}`)
    const slow = Math.floor(round / 15) % 2 === 0 ? flow.apply : flow.archive
    for (const role of [flow.apply, flow.archive]) if (round % (role === slow ? 6 : 2) === 0) await flow.step(role)
  }
  assert.ok(held.apply > 0 && held.archive > 0, JSON.stringify({ held, furthest, rounds }))
  assert.equal(await flow.heldBy(), null)
  await flow.platform.settle()
  assert.equal(await flow.count(), RECORDS * EVENTS_PER_RECORD)
})

test('nobody waits for an archive that does not run, nor for one that ended', async (context) => {
  const flow = await open(context, 'no archive')
  await flow.produce(RECORDS)
  const run = async (rounds: number, archives: boolean): Promise<void> => {
    for (let round = 0; round < rounds && !(await flow.isIngested()); round++) {
      await flow.step(flow.ingest)
      await flow.step(flow.apply)
      if (archives) await flow.step(flow.archive)
    }
  }
  await run(100, false)
  assert.ok(await flow.isIngested())
  assert.ok((await flow.backlog()).archived > 2 * (BACKLOG_BYTES + FETCH_BYTES))
  while ((await flow.step(flow.archive)) > 0);

  await flow.produce(RECORDS)
  await run(5, true)
  await run(40, false)
  assert.deepEqual([await flow.heldBy(), await flow.isIngested()], ['archive', false])
  flow.ms += STILL_MS
  await run(200, false)
  assert.deepEqual([await flow.heldBy(), await flow.isIngested()], [null, true])
})

test('nobody waits for a partition that stopped with an error', async (context) => {
  const flow = await open(context, 'stopped')
  await flow.produce(RECORDS)
  for (let round = 0; round < 2; round++) {
    await flow.step(flow.ingest)
    await flow.step(flow.apply)
  }
  for (let round = 0; (await flow.heldBy()) === null; round++) {
    assert.ok(round < 20, 'never held back')
    await flow.step(flow.ingest)
    if (round === 0) await flow.step(flow.apply)
  }
  assert.equal(await flow.heldBy(), 'apply')
  const cause = { code: 'TM_BLOCK_UNREADABLE', message: 'damaged' }
  await flow.platform.context.metadata.writeProgress('stopped', `${KEYED_LOG}/0`, cause)
  for (let round = 0; !(await flow.isIngested()); round++) {
    assert.ok(round < 200, 'held back by what has stopped')
    await flow.step(flow.ingest)
  }
  assert.equal(await flow.heldBy(), null)
})

test('nobody waits for a view that is being built', async (context) => {
  // Read by no service: the old version is let go at once.
  const flow = await open(context, 'building', '')
  const isLive = async (): Promise<boolean[]> => (await viewProgress(flow.platform.context)).map(({ live }) => live)
  await flow.produce(RECORDS)
  while ((await flow.step(flow.ingest)) + (await flow.step(flow.apply)) > 0);
  // The only view is another from now on, and nobody replays its history.
  await flow.platform.context.registry.apply(
    flow.platform.define(definitions("total: sum('amount').over('7d')")),
    flow.platform.clock.ms,
  )
  await new ApplyRole(flow.platform.context).begin()
  assert.deepEqual(await isLive(), [false])
  await flow.produce(RECORDS)
  for (let round = 0; !(await flow.isIngested()); round++) {
    assert.ok(round < 200, 'held back')
    await flow.step(flow.ingest)
  }
  await flow.platform.settle()
  assert.deepEqual(await isLive(), [true])
})
