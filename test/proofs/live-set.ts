import assert from 'node:assert/strict'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { CompiledService } from '../../features/kernel/compiled-view.ts'
import { columnValue } from '../../features/values/column.ts'
import { encodeCell } from '../../features/values/value-bytes.ts'
import type { ServedVector } from '../../inference/served-vector.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { ArchiveRole } from '../../streams/archive/archive.ts'
import { decodeBlock } from '../../streams/blocks/block.ts'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import { Crash, faultyContext, Fuse } from '../support/faulty-stores.ts'
import { oracleView } from '../support/oracle-view.ts'
import type { OracleEvent } from '../support/oracle-view.ts'
import { Platform } from '../support/platform.ts'
import { Random } from '../support/random.ts'
import { HOUR } from '../support/view-plans.ts'
import type { ProofOptions } from './proof-options.ts'

const START = Date.UTC(2024, 5, 1)
const NAMES = ['a', 'b', 'c']
const CARDS = ['p', 'q', 'r', 's', 't', 'u']
const LOG = 'payments.card'

/**
 * Views come, change and go while events stream in, by two processes that both believe to own every partition and are killed between any two store
 * operations: a served service never stops serving, every vector equals the oracle at its stamps, at the end all views equal the oracle over all events, and a
 * training set by the served clock has every answer that the last service version gave, at its time.
 */
export async function prove({ rounds = 300, seed }: ProofOptions): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    try {
      await checkCase(new Random(seed + i))
    } catch (error) {
      throw new Error(`case ${i} of seed ${seed}: ${String(error)}`, { cause: error })
    }
  }
}

function definitions(random: Random): string {
  const picked = NAMES.filter(() => random.below(3) > 0)
  const names = picked.length === 0 ? ['a'] : picked
  const views = names.map((name) => {
    const window = `'${random.pick([1, 2, 6])}h'`
    return `export const ${name} = featureView('${name}', { entity: card, from: payments, features: {
      n: count().over(${window}), total: sum('amount').over(${window}), most: max('amount').over('lifetime'), newest: last('note').over(${window}) } })`
  })
  return `import { count, entity, featureService, featureView, last, max, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const payments = stream('payments', { schema: { card_id: t.string(), note: t.string(), amount: t.float64(), at: t.timestamp() }, eventTime: 'at' })
${views.join('\n')}
export const svc = featureService('svc', { features: [${names.map((name) => `${name}.all()`).join(', ')}] })
`
}

/** One process: its roles on stores that fail when it is killed. */
class Process {
  readonly fuse: Fuse
  readonly #context: StreamContext
  readonly #random: Random
  #roles: readonly { runOnce(): Promise<number> }[] = []

  constructor(context: StreamContext, random: Random) {
    this.#context = context
    this.#random = random
    this.fuse = new Fuse(random)
    this.#start()
  }

  #start(): void {
    this.fuse.light(Infinity)
    const context = faultyContext(this.#context, this.fuse)
    this.#roles = [new IngestRole(context), new ApplyRole(context), new ArchiveRole(context)]
  }

  /** One round of one role. A process that is killed meanwhile starts anew. */
  async step(): Promise<void> {
    if (this.#random.below(6) === 0) this.fuse.light(this.#random.below(30))
    try {
      await this.#random.pick(this.#roles).runOnce()
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      this.#start()
    }
  }
}

async function checkCase(random: Random): Promise<void> {
  const cleanUps: (() => unknown)[] = []
  const platform = await Platform.open({ after: (run) => cleanUps.push(run as () => unknown) }, definitions(random), {
    now: START,
  })
  try {
    const processes: Process[] = []
    for (let number = 0; number < 2; number++) {
      const other = await platform.another()
      cleanUps.unshift(() => other.close())
      processes.push(new Process(other.context, random))
    }
    const sent = new Map<string, OracleEvent['fields']>()
    const answers: Answer[] = []
    for (let step = 10 + random.below(30); step > 0; step--) {
      platform.clock.ms += 1 + random.below(HOUR / 4)
      const action = random.below(8)
      if (action === 0) await platform.apply(definitions(random))
      else if (action <= 3) await produce(platform, random, sent)
      await Promise.all(processes.filter(() => random.below(3) > 0).map((process) => process.step()))
      answers.push(...(await checkServed(platform, sent)))
    }
    platform.clock.ms += 10_000
    await platform.settle()
    const aliases = await platform.context.registry.serviceAliases()
    for (const { registered, serving } of aliases) assert.equal(serving, registered)
    await checkServed(platform, sent, true)
    await checkExported(platform, answers)
  } finally {
    for (const cleanUp of cleanUps) await cleanUp()
  }
}

async function produce(platform: Platform, random: Random, sent: Map<string, OracleEvent['fields']>): Promise<void> {
  const events = Array.from({ length: 1 + random.below(12) }, () => {
    const event = {
      card_id: random.pick(CARDS),
      note: `e${sent.size}`,
      amount: random.pick([0.1, 0.2, 1e16, -1e16, 3, 12.57]),
      at: platform.clock.ms - random.below(3 * HOUR),
    }
    sent.set(event.note, event)
    return event
  })
  await platform.produce('payments', events)
}

interface Answer {
  readonly card: string
  /** When it was asked for. */
  readonly t: number
  readonly vector: ServedVector
}

/** By the served clock, every row is what the request at its time got, as long as the service version of now had answered it. */
async function checkExported(platform: Platform, answers: readonly Answer[]): Promise<void> {
  const { version, plan } = await platform.context.registry.service('svc')
  const own = answers.filter(({ vector }) => vector.parts.layout.service.version === version)
  if (own.length === 0) return
  const spine = own.map(({ card, t }) => ({ card_id: card, timestamp: t }))
  const { rows } = await platform.export('svc', spine, 'served')
  own.forEach(({ card, t, vector }, i) =>
    plan.features.forEach(({ fullName }, f) => {
      const status = vector.statuses[f]
      const exported = encodeCell(rows[i].values[fullName], status)
      assert.deepEqual(exported, encodeCell(vector.values[f], status), `exported ${fullName} of ${card} at ${t}`)
    }),
  )
}

/** What the service answers now, against the oracle over the events below each stamp. */
async function checkServed(
  platform: Platform,
  sent: ReadonlyMap<string, OracleEvent['fields']>,
  all: boolean = false,
): Promise<Answer[]> {
  const service = await platform.context.registry.service('svc')
  const entities = CARDS.map((card_id) => ({ card_id }))
  let vectors: ServedVector[]
  try {
    vectors = await platform.reader.read(service, entities, [])
  } catch (error) {
    const [{ serving }] = await platform.context.registry.serviceAliases()
    assert.ok(isTidemarkError(error) && error.code === 'TM_SERVICE_NOT_READY' && serving === null, String(error))
    return []
  }
  const events = await keyedEvents(platform, sent)
  if (all) assert.equal(events.length, sent.size, 'every event is in the keyed log')
  for (const [i, { card_id }] of entities.entries()) {
    const own = events.filter(({ event }) => event.fields.card_id === card_id)
    await checkVector(platform, service, vectors[i], own, all)
  }
  return CARDS.map((card, i) => ({ card, t: platform.clock.ms, vector: vectors[i] }))
}

async function checkVector(
  platform: Platform,
  service: CompiledService,
  vector: ServedVector,
  own: readonly { partition: number; event: OracleEvent }[],
  all: boolean,
): Promise<void> {
  for (const stamp of vector.stamps) {
    const { plan } = await platform.context.registry.view(stamp.version)
    const seen = own.filter(({ partition, event }) => {
      assert.equal(partition, stamp.partition)
      return event.offset < Number(stamp.nextOffset)
    })
    if (all) assert.equal(seen.length, own.length, 'everything is applied')
    const expected = oracleView(
      plan,
      [],
      seen.map(({ event }) => event),
      vector.evaluatedAt,
    )
    plan.features.forEach(({ name }, f) => {
      const at = service.plan.features.findIndex((column) => column.view === plan.name && column.feature === name)
      const served = encodeCell(vector.values[at], vector.statuses[at])
      assert.deepEqual(served, encodeCell(expected[f].value, expected[f].status), `${plan.name}__${name}`)
    })
  }
}

/** Every event with the position where it stands first, read from the keyed log without the product's reader. */
async function keyedEvents(
  { context }: Platform,
  sent: ReadonlyMap<string, OracleEvent['fields']>,
): Promise<{ partition: number; event: OracleEvent }[]> {
  const source = await context.registry.source('payments')
  const found = new Map<string, { partition: number; event: OracleEvent }>()
  for (let partition = 0; partition < context.partitions; partition++) {
    for (let next = 0; ;) {
      const records = await context.log.read(`keyed.${LOG}`, partition, next, 1 << 20)
      if (records.length === 0) break
      for (const { offset, appendTime, value } of records) {
        const block = decodeBlock(value, source.fields)
        const notes = block.columns[source.fields.findIndex(({ name }) => name === 'note')]
        for (let index = 0; index < block.length; index++) {
          const note = columnValue(notes, index) as string
          const fields = sent.get(note)
          assert.ok(fields !== undefined)
          const tau = Math.min(Number(fields.at), appendTime)
          if (!found.has(note))
            found.set(note, { partition, event: { tau, arrival: appendTime, offset, index, fields } })
        }
        next = offset + 1
      }
    }
  }
  return [...found.values()]
}
