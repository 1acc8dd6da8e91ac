import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { archiveFiles } from '../../../stores/tables/archive-files.ts'
import { importFiles } from '../../../streams/imports/import-files.ts'
import { ApplyRole } from '../../../streams/apply/apply-role.ts'
import { ArchiveRole } from '../../../streams/archive/archive.ts'
import { CompactionRole } from '../../../streams/archive/compact-archive.ts'
import { IngestRole } from '../../../streams/ingest/ingest.ts'
import { repairLogs } from '../../../streams/repair/repair-logs.ts'
import { replayDeadLetters } from '../../../streams/dead-letters/replay-dead-letters.ts'
import { deadTopic, keyedTopic } from '../../../streams/stream-context.ts'
import { decodeKeyedBlock, linkBlock } from '../../../streams/blocks/thinned-block.ts'
import { assertCell } from '../../support/assert-cell.ts'
import { despiteDamage, flipBit, losingContext } from '../../support/damaged-log.ts'
import { Crash, faultyContext, Fuse } from '../../support/faulty-stores.ts'
import { hasErrorCode } from '../../support/folders.ts'
import { oracleView } from '../../support/oracle-view.ts'
import { Platform, query } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const START = Date.UTC(2024, 5, 1)
const DAY = 86_400_000
const CARDS = ['c-0', 'c-1', 'c-2', 'c-3', 'c-4', 'c-5']
const SHOPS = ['a', 'b', 'ü']
const KEYED_LOGS = ['payments.card', 'payments.shop']

const DEFINITIONS = `import { count, entity, featureService, featureView, lastN, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const shop = entity('shop', { shop_id: t.string() })
export const payments = stream('payments', {
  schema: { id: t.string(), card_id: t.string(), shop_id: t.string(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
const features = { n: count().over('lifetime'), total: sum('amount').over('30d'), newest: lastN('id', 5).over('30d') }
export const cards = featureView('cards', { entity: card, from: payments, features })
export const shops = featureView('shops', { entity: shop, from: payments, features })
export const by_card = featureService('by_card', { features: [cards.all()] })
export const by_shop = featureService('by_shop', { features: [shops.all()] })
`

interface Payment {
  readonly [name: string]: string | number
  readonly id: string
  readonly paid_at: number
}

class Damage {
  readonly platform: Platform
  readonly #random: Random
  readonly #events: Payment[] = []
  readonly #imports: string[] = []
  #share = 0
  faults = 0

  constructor(platform: Platform, random: Random) {
    this.platform = platform
    this.#random = random
  }

  events(count: number): Payment[] {
    const random = this.#random
    const events = Array.from({ length: count }, () => ({
      id: `e${this.#events.length}-${random.below(1000)}`,
      card_id: random.pick(CARDS),
      shop_id: random.pick(SHOPS),
      amount: random.pick([0.1, 1e16, 3, -7.25]),
      paid_at: 0,
    })).map((event, i): Payment => ({ ...event, paid_at: START - DAY + 1000 * (this.#events.length + i) }))
    this.#events.push(...events)
    return events
  }

  /** Whatever chance did: a block gets lost, and one that is there is damaged. */
  async surely(): Promise<void> {
    const { platform } = this
    await platform.produce('payments', this.events(20))
    await new IngestRole(losingContext(platform.context, this.#random, () => 1)).runOnce()
    await platform.produce('payments', this.events(20))
    await new IngestRole(platform.context).runOnce()
    await this.#flip('payments.card')
  }

  /** Events by a random way, some blocks of which get lost on theirs, with readers at work in between. */
  async step(): Promise<void> {
    const { platform } = this
    const random = this.#random
    const context = losingContext(platform.context, random, () => this.#share)
    platform.clock.ms += 1000
    this.#share = random.below(3) === 0 ? 0.4 : 0
    const way = random.below(4)
    if (way === 0) {
      const path = platform.file(
        '.jsonl',
        this.events(5 + random.below(30))
          .map((event) => JSON.stringify(event))
          .join('\n'),
      )
      this.#imports.push(path)
      await importFiles(context, 'payments', [path], { arrival: null })
    } else if (way === 1) {
      // Letters whose events the schema takes in by now.
      const letters = this.events(1 + random.below(10)).map((event, i) =>
        Buffer.from(
          JSON.stringify({
            code: 'TM_EVENT_TYPE',
            reason: '',
            origin: `was/${event.id}`,
            sequence: [i, 0],
            payload: JSON.stringify(event),
          }),
        ),
      )
      await platform.context.log.append(deadTopic('payments'), 0, letters)
      await replayDeadLetters(context, 'payments')
    } else await platform.produce('payments', this.events(5 + random.below(30)))
    await new IngestRole(context).runOnce()
    if (random.below(3) === 0) await this.#flip()
    if (random.below(2) === 0) await despiteDamage(() => new ApplyRole(platform.context).runOnce())
    if (random.below(3) === 0) await this.#flip()
    if (random.below(3) === 0) await despiteDamage(() => new ArchiveRole(platform.context).runOnce())
    if (random.below(6) === 0) await new CompactionRole(platform.context, { wallClock: () => 0, graceMs: 0 }).runOnce()
    if (random.below(6) === 0) await platform.restart()
  }

  async #flip(keyedLog: string = this.#random.pick(KEYED_LOGS)): Promise<void> {
    const random = this.#random
    const { log } = this.platform.context
    const topic = keyedTopic(keyedLog)
    const partition = random.below(this.platform.context.partitions)
    const end = await log.endOffset(topic, partition)
    if (end > 0) await flipBit(log, random, topic, partition, random.below(end))
  }

  /** Repairs, being killed now and then; then the imports again, as the report asks for it. */
  async repair(kill: boolean): Promise<void> {
    const random = this.#random
    const found = await repairLogs(this.platform.context, { mend: false })
    this.faults = found.length
    for (let operations = kill ? random.below(12) : Infinity; ; operations += 1 + random.below(20)) {
      const fuse = new Fuse(random)
      fuse.light(operations)
      try {
        await repairLogs(faultyContext(this.platform.context, fuse), { mend: true })
        break
      } catch (error) {
        if (!(error instanceof Crash)) throw error
      }
    }
    for (const path of this.#imports) await this.platform.importFile('payments', path)
    await this.platform.settle()
    assert.deepEqual(await repairLogs(this.platform.context, { mend: false }), [])
  }

  async assertWhole(): Promise<void> {
    this.platform.clock.ms += 1000
    await this.platform.settle()
    for (const keyedLog of KEYED_LOGS) await this.#assertArchived(keyedLog)
    for (const [service, name, keys] of [
      ['by_card', 'card_id', CARDS],
      ['by_shop', 'shop_id', SHOPS],
    ] as const) {
      const { clock, context } = this.platform
      const entities = keys.map((key) => ({ [name]: key }))
      const { plan } = await context.registry.view(
        (await context.registry.service(service)).plan.features[0].viewVersion,
      )
      const vectors = await this.platform.read(service, entities)
      const exported = await this.platform.export(
        service,
        entities.map((entity) => ({ ...entity, timestamp: clock.ms })),
      )
      keys.forEach((key, row) => {
        const visible = this.#events
          .filter((event) => event[name] === key)
          .map((fields) => ({ tau: fields.paid_at, arrival: fields.paid_at, offset: 0, index: 0, fields }))
        oracleView(plan, [], visible, clock.ms).forEach((cell, f) => {
          const { values, statuses } = vectors[row]
          assertCell({ value: values[f], status: statuses[f] }, cell, `${key}, ${plan.features[f].name}`)
          const value = Object.values(exported.rows[row].values)[f]
          assertCell({ value, status: cell.status }, cell, `exported ${key}, ${plan.features[f].name}`)
        })
      })
    }
    const report = await this.platform.verify()
    assert.deepEqual([report.mismatches, report.damaged, report.pending], [[], [], 0])
  }

  async #assertArchived(keyedLog: string): Promise<void> {
    const { context } = this.platform
    const topic = await context.log.topic(keyedTopic(keyedLog))
    assert.ok(topic !== null)
    const ids: string[] = []
    for (let partition = 0; partition < context.partitions; partition++)
      for (const { name } of await archiveFiles(context, { keyedLog, incarnation: topic.incarnation, partition }))
        ids.push(
          ...(await query(`SELECT id FROM read_parquet('${await context.objects.localPath(name)}')`)).map(({ id }) =>
            String(id),
          ),
        )
    const sorted = (texts: readonly string[]): string[] => texts.toSorted((a, b) => (a < b ? -1 : 1))
    assert.deepEqual(sorted(ids), sorted(this.#events.map(({ id }) => id)), keyedLog)
  }
}

async function damaged(context: TestContext, random: Random, steps: number): Promise<Damage> {
  const damage = new Damage(await Platform.open(context, DEFINITIONS, { now: START }), random)
  for (let i = 0; i < steps; i++) await damage.step()
  await damage.surely()
  return damage
}

test('lost and damaged blocks, anywhere: repaired, every event counts once', { timeout: 120_000 }, async (context) => {
  const random = new Random(runSeed('repair'))
  for (let round = 0; round < 2; round++) {
    const damage = await damaged(context, random, 10)
    await damage.repair(false)
    await damage.assertWhole()
    assert.ok(damage.faults > 0, `no faults in round ${round}`)
    await damage.platform.apply(DEFINITIONS.replaceAll("'30d'", "'20d'"))
    await damage.platform.settle()
    await damage.assertWhole()
    await damage.platform.close()
  }
})

test('a repair that is killed at any moment and run again completes', { timeout: 120_000 }, async (context) => {
  const damage = await damaged(context, new Random(runSeed('repair killed')), 12)
  await damage.repair(true)
  await damage.assertWhole()
})

const payment = (number: number): Payment => ({
  id: `p${number}`,
  card_id: 'c-0',
  shop_id: 'a',
  amount: 2 ** number,
  paid_at: START - DAY + number,
})

/** Which of the payments count, from the sum of their powers of two. */
async function counted(platform: Platform): Promise<number> {
  platform.clock.ms += 1000
  await platform.settle()
  const { cells } = await platform.readOne('by_card', { card_id: 'c-0' })
  const [row] = (await platform.export('by_card', [{ card_id: 'c-0', timestamp: platform.clock.ms }])).rows
  assert.equal(row.values.cards__total, cells.cards__total.value)
  return Number(cells.cards__total.value)
}

const mend = (platform: Platform, acceptLoss = false) => repairLogs(platform.context, { mend: true, acceptLoss })

/** Three events, each a block of its own in the card's partition, of which `lost` is not appended. */
async function threeBlocks(platform: Platform, lost: number): Promise<number> {
  const context = losingContext(platform.context, new Random(1), () => Number(lost === sent))
  let sent = 0
  for (; sent < 3; sent++) {
    await platform.produce('payments', [payment(sent)])
    await new IngestRole(context).runOnce()
  }
  platform.clock.ms += 1000
  const { log } = platform.context
  const ends = await Promise.all([0, 1].map((partition) => log.endOffset(keyedTopic('payments.card'), partition)))
  return ends.findIndex((end) => end > 0)
}

test('a vector served before its block was damaged verifies: the block is whole again where it stood', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: START })
  const partition = await threeBlocks(platform, -1)
  const role = new ApplyRole(platform.context)
  while ((await role.runOnce()) > 0);
  await platform.readOne('by_card', { card_id: 'c-0' })
  const { log } = platform.context
  const topic = keyedTopic('payments.card')
  const before = await log.read(topic, partition, 1, 1)
  await flipBit(log, new Random(2), topic, partition, 1)
  await assert.rejects(platform.settle(), hasErrorCode('TM_BLOCK_UNREADABLE'))
  const faults = await mend(platform)
  assert.deepEqual(
    faults.map(({ code, offset, remedy, events }) => [code, offset, remedy, events]),
    [['TM_BLOCK_UNREADABLE', 1, 'restored', 1]],
  )
  assert.deepEqual(await log.read(topic, partition, 1, 1), before)
  assert.equal(await counted(platform), 7)
  const { rows, mismatches, damaged } = await platform.verify()
  assert.deepEqual([rows, mismatches, damaged], [2, [], []])
})

test('the last block of a producer is missing: found before the next one stops at it', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: START })
  await threeBlocks(platform, 2)
  assert.equal(await counted(platform), 3)
  assert.deepEqual(
    (await mend(platform)).map(({ keyedLog, offset, remedy, events }) => [keyedLog, offset, remedy, events]),
    KEYED_LOGS.map((name) => [name, null, 'sent-again', 1]),
  )
  assert.equal(await counted(platform), 7)
})

test('events that the source no longer has are lost, and said to be: the rest goes on', async (context) => {
  const platform = await Platform.open(context, DEFINITIONS, { now: START })
  await threeBlocks(platform, 0)
  await platform.context.log.rewrite('source.payments', 0, [{ offset: 0, value: null }])
  await assert.rejects(platform.settle(), hasErrorCode('TM_STREAM_GAP'))
  const told = await repairLogs(platform.context, { mend: false })
  assert.deepEqual(await mend(platform), told)
  assert.deepEqual(
    told.map(({ keyedLog, offset, remedy }) => [keyedLog, offset, remedy]),
    KEYED_LOGS.map((name) => [name, 0, 'lost']),
  )
  assert.equal(await counted(platform), 6)
  assert.deepEqual(await mend(platform), [])
})

test('an import with a gap: skipped until it is run again, or kept without what is missing', async (context) => {
  for (const acceptLoss of [false, true]) {
    const platform = await Platform.open(context, DEFINITIONS, { now: START })
    const { log } = platform.context
    const topic = keyedTopic('payments.card')
    const path = platform.file('.jsonl', [0, 1, 2].map((number) => JSON.stringify(payment(number))).join('\n'))
    await platform.importFile('payments', path)
    const ends = await Promise.all([0, 1].map((partition) => log.endOffset(topic, partition)))
    const partition = ends.findIndex((end) => end > 0)
    // The file's events as a block that follows another one.
    const [{ value }] = await log.read(topic, partition, 0, 1)
    const { source } = (await platform.context.registry.keyedLogs())[0]
    const block = decodeKeyedBlock(value, source.fields)
    const late = linkBlock(
      { ...block, sequenceOffset: block.sequenceOffset.map((offset) => offset + 10) },
      { offset: 9, index: 0 },
      { offset: 12, index: 0 },
    )
    await log.rewrite(topic, partition, [{ offset: 0, value: late }])
    const faults = await mend(platform, acceptLoss)
    assert.deepEqual(
      faults.map(({ code, remedy, skippedEvents }) => [code, remedy, skippedEvents]),
      [['TM_STREAM_GAP', acceptLoss ? 'lost' : 'import-again', acceptLoss ? 0 : 3]],
    )
    assert.equal(await counted(platform), acceptLoss ? 7 : 0)
    if (!acceptLoss) await platform.importFile('payments', path)
    assert.equal(await counted(platform), 7)
    await platform.close()
  }
})
