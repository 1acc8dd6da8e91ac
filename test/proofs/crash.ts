import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Registry } from '../../registry/registry.ts'
import { openSqliteMetadata } from '../../stores/metadata/sqlite/open.ts'
import { openFileObjects } from '../../stores/objects/files/open.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { openTables } from '../../stores/tables/open-tables.ts'
import { openLmdbLog } from '../../stores/log/lmdb/open.ts'
import { AimedKills } from '../support/aimed-kills.ts'
import type { Tree } from '../support/aimed-kills.ts'
import { assertCell } from '../support/assert-cell.ts'
import { tidemarkJson } from '../support/cli-process.ts'
import { oracleView } from '../support/oracle-view.ts'
import type { OracleCell, OracleFunction } from '../support/oracle-view.ts'
import { query } from '../support/platform.ts'
import { PAYMENTS, temporaryProject } from '../support/project.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

const DAY = 86_400_000
const CARDS = 20
const PARTITIONS = 4
const DEFINITIONS = PAYMENTS.replace('schema: {', 'schema: { id: t.string(),')
/** So small that blocks are split, and that ingest waits for apply and archive. */
const SETTINGS = 'export default { maxMessageBytes: 16_384, maxBacklogMegabytes: 0.1 }\n'
/** `where`, then the mean's input, as in the definitions. */
const FUNCTIONS: OracleFunction[] = [(e) => Number(e.amount) > 0, (e) => Math.min(Number(e.amount), 1000)]

interface Payment {
  readonly [name: string]: string | number | null
  readonly id: string
  readonly card_id: string
  readonly merchant: string | null
  readonly amount: number
  readonly paid_at: number
}

/**
 * Kill -9 of the whole process tree at random moments, under producers and imports that go on (and are killed too), with exports and changed definitions in
 * between; and at moments that are waited for: while archive files are merged, while history is replayed for a changed view, and between the joins of its partitions. The
 * phases in which those landed are counted, from what the stores show afterwards, and printed. At the end: every acknowledged event is in the archive, nothing is there twice or was never sent, each entity's served features are what the
 * oracle computes from the JSON that was sent, and every vector verifies.
 */
export async function prove({ rounds = 20, seed }: ProofOptions): Promise<void> {
  const cleanups: (() => unknown)[] = []
  try {
    await new CrashProof(new Random(seed), (fn) => cleanups.push(fn)).run(rounds)
  } finally {
    for (const clean of cleanups.toReversed()) await clean()
  }
}

class CrashProof {
  readonly #random: Random
  readonly #project: string
  readonly #after: (fn: () => unknown) => void
  readonly #sent = new Map<string, Payment>()
  readonly #acknowledged: string[] = []
  readonly #from = Date.now() - 3 * DAY
  readonly #interrupted: { path: string; ids: string[] }[] = []
  readonly #aimed: AimedKills
  #changes = 0
  #files = 0

  constructor(random: Random, after: (fn: () => unknown) => void) {
    this.#random = random
    this.#after = after
    this.#project = temporaryProject({ after } as never, {
      'features/card.ts': DEFINITIONS,
      'tidemark.config.ts': SETTINGS,
    })
    const start = (): Tree => {
      const tree = this.#start()
      return { kill: () => this.#kill(tree) }
    }
    this.#aimed = new AimedKills({ project: this.#project, random, start })
  }

  async run(rounds: number): Promise<void> {
    await tidemarkJson(this.#project, 'apply')
    for (let round = 0; round < rounds; round++) {
      await this.#round(round)
      if (round % 2 === 0) await this.#aimed.inHandOver('fraud', () => this.#change())
      else await this.#aimed.inCompaction('payments', () => this.#sendDirectly())
    }
    const phases = [...this.#aimed.landed]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([phase, kills]) => `${phase}: ${kills}`)
    console.log(`# ${rounds} kills at random moments; aimed kills by phase: ${phases.join('; ')}`)
    const tree = this.#start()
    const url = await this.#untilServing(tree)
    await tidemarkJson(this.#project, 'wait', '--timeout', '120s')
    await this.#assertServed(url)
    tree.process.kill('SIGTERM')
    await tree.exited
    await this.#assertArchive()
    const report = await tidemarkJson<{ rows: number; pending: number; mismatches: unknown[] }>(this.#project, 'verify')
    assert.deepEqual(report.mismatches, [])
    assert.deepEqual([report.rows, report.pending], [CARDS, 0])
  }

  async #round(round: number): Promise<void> {
    const random = this.#random
    const tree = this.#start()
    await this.#untilServing(tree)
    // A second of producers and imports, at the end of which the tree dies; some of them die before.
    const work = [this.#produce(), this.#produce(), this.#import()]
    if (random.below(3) === 0) work.push(this.#export())
    if (round % 5 === 4) work.push(this.#redefine())
    await pause(300 + random.below(2500))
    await this.#kill(tree)
    await Promise.all(work)
    for (const { path, ids } of this.#interrupted.splice(0)) {
      await tidemarkJson(this.#project, 'import', 'payments', path)
      this.#acknowledged.push(...ids)
    }
  }

  /** Events that this process produces by itself: acknowledged when that has returned, before anything is killed. */
  #sendDirectly(): string[] {
    const events = this.#events(60)
    this.#acknowledged.push(...events.map(({ id }) => id))
    return events.map((event) => JSON.stringify(event))
  }

  #write(count: number): { path: string; ids: string[] } {
    const events = this.#events(count)
    const path = join(this.#project, `events-${++this.#files}.jsonl`)
    writeFileSync(path, `${events.map((event) => JSON.stringify(event)).join('\n')}\n`)
    return { path, ids: events.map(({ id }) => id) }
  }

  #events(count: number): Payment[] {
    const random = this.#random
    return Array.from({ length: count }, (): Payment => {
      const id = `e${this.#sent.size}`
      const payment = {
        id,
        card_id: `c-${random.below(CARDS)}`,
        merchant: random.pick(['a', 'b', 'ü', null]),
        amount: random.pick([0.1, 0.2, 1e16, 12.5, -3, 7, 5e-324]),
        // A millisecond of its own each, so that the order of ties is no matter here; long past, so that it counts when it happened.
        paid_at: this.#from + this.#sent.size * 100 + random.below(100),
      }
      this.#sent.set(id, payment)
      return payment
    })
  }

  /** Events count as acknowledged when the command has said so; of a killed one any may have been taken in. */
  async #produce(): Promise<void> {
    const { path, ids } = this.#write(200 + this.#random.below(3000))
    if (await this.#mayDie('produce', 'payments', path)) this.#acknowledged.push(...ids)
  }

  /** An import that was killed is run again: it takes in the rest, and nothing twice. */
  async #import(): Promise<void> {
    const file = this.#write(200 + this.#random.below(6000))
    if (await this.#mayDie('import', 'payments', file.path)) this.#acknowledged.push(...file.ids)
    else this.#interrupted.push(file)
  }

  /** A file that is there is whole. */
  async #export(): Promise<void> {
    const spine = join(this.#project, `spine-${++this.#files}.csv`)
    const rows = Array.from({ length: 500 }, (_, i) => `c-${i % CARDS},${this.#from},1`)
    writeFileSync(spine, `card_id,timestamp,amount\n${rows.join('\n')}\n`)
    const out = spine.replace('.csv', '.parquet')
    await this.#mayDie('export', 'fraud', '--spine', spine, '--out', out)
    if (existsSync(out)) assert.equal((await query(`SELECT * FROM read_parquet('${out}')`)).length, rows.length)
  }

  /** A changed view: registered or not, never in part. */
  async #redefine(): Promise<void> {
    this.#change()
    await this.#mayDie('apply')
    await tidemarkJson(this.#project, 'apply')
  }

  #change(): void {
    const text = DEFINITIONS.replace('.default(0)', `.default(${++this.#changes})`)
    writeFileSync(join(this.#project, 'features/card.ts'), text)
  }

  /** Whether the command ended by itself, well. One in three is killed at a random moment. */
  async #mayDie(...args: string[]): Promise<boolean> {
    const child = spawnTidemark(this.#project, args)
    if (this.#random.below(3) === 0) {
      await pause(200 + this.#random.below(2500))
      child.process.kill('SIGKILL')
    }
    const code = await child.exited
    // Its tree may have died beneath it; what it refuses then is no acknowledgement.
    return code === 0
  }

  #start(): Spawned {
    const tree = spawnTidemark(this.#project, ['start', '--port', '0'], true)
    this.#after(() => killGroup(tree.process))
    return tree
  }

  async #untilServing(tree: Spawned): Promise<string> {
    for (;;) {
      const match = /serving features on (http:\S+)/.exec(tree.output())
      if (match !== null) return match[1]
      assert.ok(tree.process.exitCode === null, `start ended: ${tree.output()}`)
      await pause(20)
    }
  }

  async #kill(tree: Spawned): Promise<void> {
    killGroup(tree.process)
    await tree.exited
  }

  async #archived(): Promise<Record<string, unknown>[]> {
    const data = join(this.#project, '.tidemark')
    const objects = await openFileObjects({ path: join(data, 'objects') })
    const tables = await openTables({ temporaryFolder: join(this.#project, 'duckdb') })
    const log = await openLmdbLog({ path: join(data, 'log'), now: Date.now })
    try {
      const topic = await log.topic('keyed.payments.card')
      assert.ok(topic !== null)
      const rows: Record<string, unknown>[] = []
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const place = { keyedLog: 'payments.card', incarnation: topic.incarnation, partition }
        for (const { name } of await archiveFiles({ objects, tables }, place))
          rows.push(...(await query(`SELECT * FROM read_parquet('${await objects.localPath(name)}')`)))
      }
      return rows
    } finally {
      await tables.close()
      await log.close()
      await objects.close()
    }
  }

  /** Accepted events, each once, as they were sent. */
  async #assertArchive(): Promise<void> {
    const rows = await this.#archived()
    const seen = new Set<string>()
    for (const { id, card_id, merchant, amount, paid_at } of rows) {
      assert.ok(!seen.has(String(id)), `${String(id)} is archived twice`)
      seen.add(String(id))
      const found = { id, card_id, merchant, amount, paid_at: Number(paid_at) }
      assert.deepEqual(found, this.#sent.get(String(id)))
    }
    const lost = this.#acknowledged.filter((id) => !seen.has(id))
    assert.deepEqual(lost, [], `${lost.length} acknowledged events are not in the archive`)
    console.log(`# ${this.#sent.size} sent, ${this.#acknowledged.length} acknowledged, ${seen.size} archived once each`)
  }

  async #assertServed(url: string): Promise<void> {
    const accepted = new Set((await this.#archived()).map(({ id }) => String(id)))
    const metadata = await openSqliteMetadata(join(this.#project, '.tidemark/metadata.sqlite'))
    const registry = new Registry(metadata)
    try {
      const service = await registry.service('fraud')
      const { plan } = await registry.view(service.plan.features[0].viewVersion)
      const entities = Array.from({ length: CARDS }, (_, card) => ({ card_id: `c-${card}` }))
      const response = await fetch(`${url}/v1/features/fraud`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ entities, request: entities.map(() => ({ amount: 1 })) }),
      })
      const answer = (await response.json()) as { rows: ServedRow[] }
      assert.equal(response.status, 200, JSON.stringify(answer))
      answer.rows.forEach(({ values, statuses, evaluatedAt }, card) => {
        const events = [...this.#sent.values()]
          .filter(({ id, card_id }) => card_id === `c-${card}` && accepted.has(id))
          .map((fields) => ({ tau: fields.paid_at, arrival: fields.paid_at, offset: 0, index: 0, fields }))
        oracleView(plan, FUNCTIONS, events, evaluatedAt).forEach((cell, f) => {
          const found = { value: values[f], status: statuses[f] }
          assertCell(found, cell, `c-${card}, ${plan.features[f].name} at ${evaluatedAt}`)
        })
      })
    } finally {
      await metadata.close()
    }
  }
}

interface ServedRow {
  readonly values: OracleCell['value'][]
  readonly statuses: OracleCell['status'][]
  readonly evaluatedAt: number
}

interface Spawned {
  readonly process: ChildProcess
  readonly exited: Promise<number | null>
  output(): string
}

function spawnTidemark(project: string, args: readonly string[], leads: boolean = false): Spawned {
  const flags = ['--disable-warning=ExperimentalWarning', 'cli/main.ts', '--project', project]
  const child = spawn(process.execPath, [...flags, ...args], { stdio: ['ignore', 'pipe', 'pipe'], detached: leads })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return { process: child, exited: new Promise((resolve) => child.once('close', resolve)), output: () => output }
}

/** The whole tree: it was started as a process group of its own. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
