import assert from 'node:assert/strict'
import { ApplyRole } from '../../streams/apply/apply-role.ts'
import { ArchiveRole } from '../../streams/archive/archive.ts'
import { IngestRole } from '../../streams/ingest/ingest.ts'
import { CompactionRole } from '../../streams/archive/compact-archive.ts'
import { produce } from '../../streams/produce.ts'
import { appendIngested, readIngestCheckpoint } from '../../streams/ingest/ingest-checkpoint.ts'
import type { IngestCheckpoint } from '../../streams/ingest/ingest-checkpoint.ts'
import { createTopics } from '../../streams/stream-context.ts'
import type { StreamContext } from '../../streams/stream-context.ts'
import { assertCell } from './assert-cell.ts'
import { Crash, faultyContext, Fuse } from './faulty-stores.ts'
import { parquetOfEvents } from './parquet-of-events.ts'
import { Platform } from './platform.ts'
import type { OpenOnline } from './platform.ts'
import { jsonOf, randomFields } from './random-events.ts'
import type { EventFields } from './random-events.ts'
import { definitionsText, randomViewText, viewOfText } from './random-view.ts'
import { Random } from './random.ts'
import { namedCells, StackModel } from './stack-model.ts'
import type { ModelView } from './stack-model.ts'
import { askedOf, ENTITIES, SPINE_ROWS, StackVerdict } from './stack-verdict.ts'
import type { Answer, Served } from './stack-verdict.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

/** What a kill is aimed at: a role at work, and the operations on stores before one of which it dies. */
const AIMS = {
  produce: ['append'],
  archive: ['list', 'createFromFile', 'writeProgress'],
  compaction: ['list', 'createFromFile', 'writeProgress', 'delete'],
  'hand-over': ['claim', 'claimBackfill', 'flush', 'append', 'join', 'leave'],
} as const
/** So many small files of a partition make a merge. */
const FILES_TO_MERGE = 16
/** Kills by what they hit, over all logs. */
export const kills = new Map<string, number>()

/** How many (entity, time) pairs one log is judged at: twice the spine rows, and the reads. */
export const PAIRS_PER_LOG = 2 * SPINE_ROWS

export interface StackOptions {
  readonly rounds: number
  readonly seed: number
  /** The online store, made anew for each log: the embedded one unless given. */
  readonly openOnline?: () => Promise<OpenOnline>
}

/**
 * Random logs through the whole product, on its real stores: produced and imported (before and after live events, twice, with arrivals of
 * their own), taken in, applied, archived and read at random moments, with restarts, replays from an older checkpoint and a second worker that
 * takes the partitions over. Then every state's bytes, every served vector, the training rows at random times by arrival and by event time, those of the served
 * clock at the times of the answers given and at random times, and verification must be what the oracle says.
 */
export async function proveStack({ rounds, seed, openOnline }: StackOptions): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const cleanups: (() => unknown)[] = []
    try {
      const test = { after: (fn: unknown) => cleanups.push(fn as () => unknown) }
      await new StackCase(new Random(seed + i), test, await openOnline?.()).run()
    } catch (error) {
      const replay = `log ${i} of seed ${seed} (alone: npm run -s prove -- parity --rounds 1 --seed ${seed + i})`
      throw new Error(`${replay}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    } finally {
      for (const clean of cleanups.toReversed()) await clean()
    }
  }
}

type Test = Parameters<typeof Platform.open>[0]

interface ImportedFile {
  readonly path: string
  readonly rows: readonly EventFields[]
  readonly arrival: 'at' | 'known'
}

class StackCase {
  readonly #random: Random
  readonly #test: Test
  readonly #openOnline: OpenOnline | undefined
  readonly #model = new StackModel()
  readonly #files: ImportedFile[] = []
  readonly #steps: string[] = []
  #platform!: Platform
  /** Texts of the views as last applied, by name. */
  #texts: Record<string, string> = {}
  /** The oracle's views of each service version. */
  readonly #versions = new Map<string, ModelView[]>()
  /** Workers that take the partitions from one another. */
  #workers: ApplyRole[] = []
  #others: { context: StreamContext; close(): Promise<void> }[] = []
  #checkpoint: IngestCheckpoint | null = null
  readonly #answers: Answer[] = []
  /** When each service version was first found served. */
  readonly #servedSince = new Map<string, number>()

  constructor(random: Random, test: Test, openOnline?: OpenOnline) {
    this.#random = random
    this.#test = test
    this.#openOnline = openOnline
  }

  async run(): Promise<void> {
    const random = this.#random
    for (const name of ['one', 'two', 'three']) this.#texts[name] = this.#randomView(name)
    try {
      const now = Date.UTC(2024, 5, 1) + random.below(24 * HOUR)
      this.#platform = await Platform.open(this.#test, definitionsText(this.#texts), {
        now,
        openOnline: this.#openOnline,
      })
      await this.#learnVersion()
      await this.#served()
      for (let step = 0; step < 45; step++) await this.#step()
      await this.#finish()
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      const texts = Object.values(this.#texts).join('\n')
      throw new Error(`${message}\nsteps: ${this.#steps.join(' ')}\n${texts}`, { cause: error })
    } finally {
      for (const other of this.#others) await other.close()
    }
  }

  #randomView(name: string): string {
    const entity = name === 'one' ? 'card' : name === 'two' ? 'store' : this.#random.pick(['card', 'store'] as const)
    return randomViewText(this.#random, name, { features: 5, entity })
  }

  async #learnVersion(): Promise<void> {
    const { registry } = this.#platform.context
    const [{ registered }] = await registry.serviceAliases()
    const { plan } = await registry.service(registered)
    const names = [...new Map(plan.features.map(({ view, viewVersion }) => [view, viewVersion]))]
    this.#versions.set(
      registered,
      await Promise.all(
        names.map(async ([name, version]) => {
          const { definition, functions } = viewOfText(this.#texts[name])
          assert.equal(definition.name, name)
          return { version, plan: (await registry.view(version)).plan, functions }
        }),
      ),
    )
  }

  /** The service as its name is served now, and its views. */
  async #served(): Promise<Served> {
    const service = await this.#platform.context.registry.service('svc')
    const views = this.#versions.get(service.version)
    assert.ok(views !== undefined, `the service serves ${service.version}, which was never applied`)
    if (!this.#servedSince.has(service.version)) this.#servedSince.set(service.version, this.#platform.clock.ms)
    return { service, views }
  }

  async #step(): Promise<void> {
    const steps = {
      clock: 6,
      produce: 8,
      import: 3,
      again: 1,
      ingest: 6,
      apply: 7,
      archive: 2,
      read: 5,
      restart: 1,
      replay: 1,
      rebalance: 1,
      redefine: 1,
      kill: 2,
    } as const
    const names = Object.entries(steps).flatMap(([name, weight]) => new Array<string>(weight).fill(name))
    const name = this.#random.pick(names) as keyof typeof steps
    this.#steps.push(name)
    await this[name]()
  }

  clock(): void {
    const random = this.#random
    this.#platform.clock.ms += random.pick([
      0,
      1,
      999,
      random.below(MINUTE),
      random.below(HOUR),
      random.below(40 * HOUR),
    ])
  }

  /** By a process that may die meanwhile: then nothing was acknowledged, and nothing may have been taken in. */
  async produce(context: StreamContext = this.#platform.context): Promise<void> {
    const random = this.#random
    const now = this.#platform.clock.ms
    const events = Array.from({ length: 1 + random.below(40) }, () => {
      const late = random.pick([
        0,
        0,
        1,
        random.below(1000),
        random.below(3 * HOUR),
        random.below(900 * HOUR),
        -random.below(HOUR),
      ])
      return randomFields(random, { at: now - late, known: now - random.below(HOUR) })
    })
    const lines = events.flatMap((fields) => (random.below(12) === 0 ? ['{"key":1', jsonOf(fields)] : [jsonOf(fields)]))
    const { accepted, refused } = await produce(context, 'events', lines)
    assert.deepEqual([accepted, refused], [events.length, lines.length - events.length])
    for (const fields of events) this.#model.produce(fields)
  }

  async import(): Promise<void> {
    const random = this.#random
    const now = this.#platform.clock.ms
    const rows = Array.from({ length: 1 + random.below(60) }, () => {
      const known = now - random.pick([0, 1, random.below(HOUR), random.below(2000 * HOUR), -random.below(10)])
      return randomFields(random, { at: known - random.pick([0, random.below(HOUR), -random.below(HOUR)]), known })
    })
    const lines = this.#platform.file('.jsonl', `${rows.map(jsonOf).join('\n')}\n`)
    const path = random.below(2) === 0 ? lines : await parquetOfEvents(lines)
    await this.#importFile({ path, rows, arrival: random.pick(['at', 'known']) })
  }

  /** A file that was imported before. */
  async again(): Promise<void> {
    if (this.#files.length > 0) await this.#importFile(this.#random.pick(this.#files))
  }

  async #importFile(file: ImportedFile): Promise<void> {
    const { path, rows, arrival } = file
    const known = this.#files.includes(file)
    const refused = this.#model.import(path, rows, arrival, this.#platform.clock.ms)
    // Whether a row that came too early is taken in by a second import has a test of its own.
    if (!known && refused === 0) this.#files.push(file)
    const asked = arrival === 'at' ? this.#random.pick(['event-time', null]) : 'known'
    const result = await this.#platform.importFile('events', path, asked)
    if (!known) assert.deepEqual([result.accepted, result.refused], [rows.length - refused, refused])
  }

  async ingest(): Promise<void> {
    const { context, clock } = this.#platform
    this.#checkpoint ??= await readIngestCheckpoint(context, { source: 'events', partition: 0 })
    while ((await new IngestRole(context).runOnce()) > 0);
    this.#model.ingest(clock.ms)
  }

  async apply(): Promise<void> {
    if (this.#workers.length === 0) this.#workers.push(new ApplyRole(this.#platform.context))
    // A worker that was pushed aside lets go in one round and takes over in the next.
    const worker = this.#random.pick(this.#workers)
    while ((await worker.runOnce()) > 0);
    this.#model.apply(this.#platform.clock.ms)
    await this.#served()
  }

  async archive(): Promise<void> {
    while ((await new ArchiveRole(this.#platform.context).runOnce()) > 0);
  }

  async restart(): Promise<void> {
    await this.#platform.restart()
    this.#workers = []
  }

  /** A process dies in the middle of its work; another takes the work up. */
  async kill(): Promise<void> {
    const random = this.#random
    const aim = random.pick(Object.keys(AIMS) as (keyof typeof AIMS)[])
    const fuse = new Fuse(random)
    const context = faultyContext(this.#platform.context, fuse)
    if (aim === 'hand-over') await this.redefine()
    for (let file = 0; aim === 'compaction' && file < FILES_TO_MERGE; file++) {
      await this.produce()
      await this.ingest()
      await this.archive()
    }
    await this.produce()
    await this.ingest()
    fuse.aim(random.pick(AIMS[aim]), random.below(aim === 'produce' ? 1 : 6))
    try {
      if (aim === 'produce') await this.produce(context)
      const role =
        aim === 'hand-over'
          ? new ApplyRole(context)
          : aim === 'archive'
            ? new ArchiveRole(context)
            : new CompactionRole(context, { wallClock: () => Date.now() + 1000, graceMs: 0 })
      while (aim !== 'produce' && (await role.runOnce()) > 0);
    } catch (error) {
      if (!(error instanceof Crash)) throw error
    }
    const hit = fuse.struck === null ? `${aim}: missed` : `${aim}: before ${fuse.struck}`
    kills.set(hit, (kills.get(hit) ?? 0) + 1)
    await this.restart()
    await this.apply()
  }

  /** As after a crash between the append of blocks and the advance of the checkpoint. */
  async replay(): Promise<void> {
    if (this.#checkpoint === null) return
    await appendIngested(this.#platform.context, { source: 'events', partition: 0 }, [], this.#checkpoint)
    await this.ingest()
    this.#checkpoint = null
  }

  /** Another process takes the partitions over, in the middle of the worker's work; the one before comes back later. */
  async rebalance(): Promise<void> {
    const other = await this.#platform.another()
    this.#others.push(other)
    await this.produce()
    await this.ingest()
    for (const worker of this.#workers) await worker.runOnce()
    this.#workers.push(new ApplyRole(other.context))
    await this.produce()
    await this.ingest()
    await this.#workers[this.#workers.length - 1].runOnce()
    await this.produce()
    await this.ingest()
    for (const worker of this.#workers) await worker.runOnce()
    await this.apply()
  }

  /** A view is changed: its new version is backfilled, and its name serves the old one until then. */
  async redefine(): Promise<void> {
    const name = this.#random.pick(Object.keys(this.#texts))
    this.#texts[name] = this.#randomView(name)
    await this.#platform.context.registry.apply(
      this.#platform.define(definitionsText(this.#texts)),
      this.#platform.clock.ms,
    )
    await createTopics(this.#platform.context)
    await this.#learnVersion()
  }

  async read(): Promise<void> {
    const { service, views } = await this.#served()
    for (const entity of this.#random.shuffle(ENTITIES).slice(0, 3)) {
      const asked = askedOf(views, entity)
      const [{ values, statuses, evaluatedAt }] = await this.#platform.read('svc', [asked])
      const { at, cells } = this.#model.online(views, entity, this.#platform.clock.ms)
      assert.equal(evaluatedAt, at, `evaluation time of ${JSON.stringify(asked)}`)
      const expected = [...namedCells(service, views, cells)]
      expected.forEach(([name, cell], i) =>
        assertCell({ value: values[i], status: statuses[i] }, cell, `served ${name} at ${at}`),
      )
      this.#answers.push({ version: service.version, entity, t: this.#platform.clock.ms, cells: new Map(expected) })
    }
    // What changes from now on was not there when these were asked for.
    this.#platform.clock.ms++
  }

  async #finish(): Promise<void> {
    await this.ingest()
    await this.apply()
    await this.read()
    const end = this.#platform.clock.ms
    this.#platform.clock.ms += 10_000
    await this.#platform.settle()
    this.#workers = []
    const served = await this.#served()
    const { views } = served
    const verdict = new StackVerdict(this.#platform, this.#model, this.#random)
    for (const name of new Set(views.map(({ plan }) => plan.entity.name))) {
      const positions = await verdict.assertArchive(name)
      for (const view of views) if (view.plan.entity.name === name) await verdict.assertStates(view, positions)
    }
    for (const asOf of ['arrival', 'event-time'] as const) await verdict.assertExport(served, asOf, end)
    const since = this.#servedSince.get(served.service.version) ?? end
    await verdict.assertServedExport(served, this.#answers, { from: since, to: end })
    const report = await this.#platform.verify()
    assert.deepEqual(report.mismatches, [])
    assert.deepEqual([report.rows, report.pending], [this.#answers.length, 0])
  }
}
