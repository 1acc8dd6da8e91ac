import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { encodeCell } from '../../features/values/value-bytes.ts'
import { keyedLogOf } from '../../registry/keyed-logs.ts'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { ArchiveRole } from '../../streams/archive/archive.ts'
import { FillRole } from '../../streams/feeds/fill-role.ts'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import { replayDeadLetters } from '../../streams/dead-letters/replay-dead-letters.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import { Crash, faultyContext, Fuse } from '../support/faulty-stores.ts'
import { Platform } from '../support/platform.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

const START = Date.UTC(2024, 5, 1)
const HOUR = 3_600_000
const FURTHER = ['route', 'shop'] as const
const ENTITIES = {
  card: { columns: ['card_id'], keys: [{ card_id: 'p' }, { card_id: 'q' }, { card_id: 'r' }] },
  route: {
    columns: ['origin', 'target'],
    keys: ['X', 'Y', 'Z'].flatMap((origin) => [1, 2].map((target) => ({ origin, target }))),
  },
  shop: { columns: ['shop'], keys: [{ shop: 'a' }, { shop: 'b' }, { shop: '' }] },
} as const
type Entity = keyof typeof ENTITIES
const SHOP_TOO_LONG = 'x'.repeat(1100)

/**
 * Two deployments take in the same events, files and replays at the same times. In one all entities exist from the beginning; in the other further
 * entities come later, go and come again, while events stream in, and two processes that both fill, apply and archive are killed between any two store
 * operations. At the end the states, the served vectors and the training rows of the further entities are the same, byte for byte.
 */
export async function prove({ rounds = 300, seed }: ProofOptions): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const cleanUps: (() => unknown)[] = []
    const test = { after: (run: unknown) => cleanUps.push(run as () => unknown) } as Parameters<typeof Platform.open>[0]
    try {
      await new FurtherEntityCase(new Random(seed + i), test).run()
    } catch (error) {
      throw new Error(`case ${i} of seed ${seed} (alone: --rounds 1 --seed ${seed + i}): ${String(error)}`, {
        cause: error,
      })
    } finally {
      for (const cleanUp of cleanUps.toReversed()) await cleanUp()
    }
  }
}

interface Shape {
  /** Amounts may be null. */
  readonly nullable: boolean
  /** There is a column more. */
  readonly wide: boolean
}

function definitions(entities: ReadonlySet<Entity>, { nullable, wide }: Shape): string {
  const parts = [...entities].map(
    (name) => `
export const by_${name} = featureView('by_${name}', { entity: ${name}, from: payments, features: {
  n: count().over('2h'), total: sum('amount').over('lifetime'), most: max('amount').over('6h') } })
export const order_by_${name} = featureView('order_by_${name}', { entity: ${name}, from: payments, features: {
  newest: last('note').over('lifetime'), oldest: first('note').over('6h')${wide ? `, extra: last('extra').over('lifetime')` : ''} } })
export const ${name}_service = featureService('${name}_service', { features: [by_${name}.all(), order_by_${name}.all()] })`,
  )
  return `import { count, entity, featureService, featureView, first, last, max, stream, sum, t } from 'tidemark'
const card = entity('card', { card_id: t.string() })
const route = entity('route', { origin: t.string(), target: t.int32() })
const shop = entity('shop', { shop: t.string() })
export const payments = stream('payments', { schema: {
  card_id: t.string().nullable(), origin: t.string().nullable(), target: t.int32().nullable(), shop: t.string().nullable(),
  note: t.string(), ${wide ? 'extra: t.int64().nullable(), ' : ''}amount: t.float64()${nullable ? '.nullable()' : ''}, at: t.timestamp(), known: t.timestamp() }, eventTime: 'at' })
${parts.join('')}
`
}

/** A process of the late deployment: filling, applying and archiving on stores that fail when it is killed. */
class Worker {
  readonly #context: StreamContext
  readonly #random: Random
  readonly #fuse: Fuse
  #roles: readonly { runOnce(): Promise<number> }[] = []

  constructor(context: StreamContext, random: Random) {
    this.#context = context
    this.#random = random
    this.#fuse = new Fuse(random)
    this.#start()
  }

  #start(): void {
    this.#fuse.light(Infinity)
    const context = faultyContext(this.#context, this.#fuse)
    this.#roles = [new FillRole(context), new FillRole(context), new ApplyRole(context), new ArchiveRole(context)]
  }

  async step(): Promise<void> {
    if (this.#random.below(4) === 0) this.#fuse.light(this.#random.below(40))
    try {
      await this.#random.pick(this.#roles).runOnce()
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      this.#start()
    }
  }
}

class FurtherEntityCase {
  readonly #random: Random
  readonly #test: Parameters<typeof Platform.open>[0]
  readonly #workers: Worker[] = []
  readonly #files: string[] = []
  #early!: Platform
  #late!: Platform
  #lateIngest!: Platform['context']
  #entities = new Set<Entity>(['card'])
  #shape: Shape = { nullable: false, wide: false }
  #notes = 0

  constructor(random: Random, test: Parameters<typeof Platform.open>[0]) {
    this.#random = random
    this.#test = test
  }

  async run(): Promise<void> {
    const random = this.#random
    const all = new Set<Entity>(['card', ...FURTHER])
    this.#early = await Platform.open(this.#test, definitions(all, { nullable: false, wide: true }), { now: START })
    this.#late = await Platform.open(this.#test, definitions(this.#entities, this.#shape), { now: START })
    for (let number = 0; number < 3; number++) {
      const other = await this.#late.another()
      this.#test.after(() => other.close())
      if (number === 2) this.#lateIngest = other.context
      else this.#workers.push(new Worker(other.context, random))
    }
    for (let step = 12 + random.below(25); step > 0; step--) await this.#step()
    this.#entities = all
    this.#shape = { ...this.#shape, wide: true }
    await this.#applyLate()
    // What is appended to different logs in one millisecond has no order that a fill could find.
    this.#tick(1)
    if (random.below(2) === 0) await this.#produce()
    for (const platform of this.#both) await platform.settle()
    await this.#compare()
  }

  get #both(): Platform[] {
    return [this.#early, this.#late]
  }

  #tick(ms: number = 1 + this.#random.below(HOUR / 4)): void {
    this.#early.clock.ms += ms
    this.#late.clock.ms += ms
  }

  async #step(): Promise<void> {
    this.#tick()
    switch (this.#random.below(10)) {
      case 0:
      case 1:
        await this.#change()
        break
      case 2:
        await this.#import()
        break
      case 3:
        await this.#replay()
        break
      case 4:
        if (this.#files.length > 0) await this.#importFile(this.#random.pick(this.#files))
        break
      default:
        await this.#produce()
    }
    const active = this.#workers.filter(() => this.#random.below(3) > 0)
    await Promise.all(active.map(async (worker) => worker.step()))
  }

  /** A further entity comes or goes, or a column comes. */
  async #change(): Promise<void> {
    if (this.#random.below(4) === 0) {
      this.#shape = { ...this.#shape, wide: true }
      return this.#applyLate()
    }
    const name = this.#random.pick(FURTHER)
    if (!this.#entities.delete(name)) this.#entities.add(name)
    await this.#applyLate()
  }

  async #applyLate(): Promise<void> {
    await this.#late.apply(definitions(this.#entities, this.#shape))
  }

  async #produce(): Promise<void> {
    const events = Array.from({ length: 1 + this.#random.below(12) }, () => this.#event())
    const fuse = new Fuse(this.#random)
    if (this.#random.below(3) === 0) fuse.light(this.#random.below(20))
    await this.#early.produce('payments', events)
    await this.#late.produce('payments', events)
    await ingestAll(new IngestRole(this.#early.context))
    try {
      await ingestAll(new IngestRole(faultyContext(this.#lateIngest, fuse)))
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      await ingestAll(new IngestRole(this.#lateIngest))
    }
  }

  async #import(): Promise<void> {
    const rows = Array.from({ length: 1 + this.#random.below(20) }, () => this.#event())
    const text = rows.map((row) => JSON.stringify(row)).join('\n')
    const path = this.#early.file('.jsonl', `${text}\n`)
    this.#files.push(path)
    await this.#importFile(path)
  }

  async #importFile(path: string): Promise<void> {
    await this.#untilFed()
    for (const platform of this.#both) await platform.importFile('payments', path, 'known')
  }

  /** Events without an amount are refused, until amounts may be null. */
  async #replay(): Promise<void> {
    if (!this.#shape.nullable) {
      this.#shape = { ...this.#shape, nullable: true }
      await this.#early.apply(definitions(new Set(['card', ...FURTHER]), { nullable: true, wide: true }))
      await this.#applyLate()
    }
    await this.#untilFed()
    for (const { context } of this.#both) await replayDeadLetters(context, 'payments')
  }

  /** A source version of its own takes no imports and replays before it has taken the history over. */
  async #untilFed(): Promise<void> {
    const fill = new FillRole(this.#lateIngest)
    while ((await fill.runOnce()) > 0);
    await ingestAll(new IngestRole(this.#lateIngest))
  }

  #event(): Record<string, unknown> {
    const random = this.#random
    const orNull = <T>(value: T): T | null => (random.below(6) === 0 ? null : value)
    const isRefused = random.below(8) === 0
    const isTooLong = random.below(20) === 0
    const at = this.#early.clock.ms - random.below(3) * HOUR
    return {
      card_id: isRefused ? 'p' : orNull(random.pick(['p', 'q', 'r'])),
      origin: orNull(random.pick(['X', 'Y', 'Z'])),
      target: orNull(1 + random.below(2)),
      shop: isTooLong ? SHOP_TOO_LONG : orNull(random.pick(['a', 'b', ''])),
      note: `e${this.#notes++}`,
      extra: this.#shape.wide ? orNull(this.#notes) : null,
      amount: isRefused ? null : random.pick([0.1, 0.2, 1e16, -1e16, 3]),
      at,
      known: Math.min(at + random.below(HOUR), this.#early.clock.ms),
    }
  }

  async #compare(): Promise<void> {
    for (const name of FURTHER) {
      const [early, late] = [await statesOf(this.#early, name), await statesOf(this.#late, name)]
      assert.deepEqual(late, early, `states by ${name}`)
      assert.deepEqual(await servedOf(this.#late, name), await servedOf(this.#early, name), `served by ${name}`)
    }
    this.#tick(1)
    const spine = this.#spine()
    for (const name of FURTHER)
      for (const asOf of ['arrival', 'event-time'] as const) {
        const [early, late] = await Promise.all(
          this.#both.map(async (platform) => platform.export(`${name}_service`, spine, asOf)),
        )
        assert.ok(readFileSync(late.path).equals(readFileSync(early.path)), `training rows by ${name}, ${asOf}`)
      }
    const { rows, mismatches } = await this.#late.verify()
    assert.deepEqual(mismatches, [])
    assert.ok(rows > 0)
  }

  #spine(): Record<string, unknown>[] {
    const span = this.#early.clock.ms - START
    return Array.from({ length: 40 }, () => ({
      ...this.#random.pick(ENTITIES.route.keys),
      shop: this.#random.pick(['a', 'b']),
      timestamp: START + this.#random.below(span),
    }))
  }
}

async function ingestAll(ingest: IngestRole): Promise<void> {
  while ((await ingest.runOnce()) > 0);
}

/** Every state of the view by an entity that has no positions in its states (those are of its own log), by key. */
async function statesOf({ context }: Platform, name: string): Promise<Map<string, string>> {
  const service = await context.registry.service(`${name}_service`)
  const view = service.plan.features[0].viewVersion
  const states = new Map<string, string>()
  for (let bucket = 0; bucket < context.buckets; bucket++)
    for await (const { key, state } of context.online.scan(
      { keyedLog: keyedLogOf(await context.registry.view(view)), bucket },
      view,
    )) {
      const parts = [state.open, state.sealed].map((part) => (part === null ? '-' : Buffer.from(part).toString('hex')))
      states.set(Buffer.from(key).toString('hex'), parts.join(' '))
    }
  return states
}

async function servedOf(platform: Platform, name: (typeof FURTHER)[number]): Promise<unknown[]> {
  const vectors = await platform.read(`${name}_service`, ENTITIES[name].keys)
  return vectors.map(({ values, statuses, evaluatedAt }) => ({
    cells: values.map((value, i) => Buffer.from(encodeCell(value, statuses[i])).toString('hex')),
    evaluatedAt,
  }))
}
