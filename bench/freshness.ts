import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openProject } from '../cli/open-project.ts'
import type { Project } from '../cli/open-project.ts'
import { livePresences } from '../cli/presence.ts'
import { Random } from '../test/support/random.ts'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { processorSeconds, TICKS_PER_SECOND } from './stream-kafka/process-usage.ts'

const P99_MS_GOAL = 50
/** Of one core, all processes together. */
const IDLE_SHARE_GOAL = 0.02
const SEED = 1
const MERCHANTS = 100
const LINES_PER_RECORD = 200
const RECORDS_PER_SECOND = 100
const POLL_MS = 1
const SETTLE_MS = 5000

const DEFINITIONS = `import { count, entity, featureService, featureView, mean, stream, sum, t } from 'tidemark'
export const card = entity('card', { card_id: t.string() })
export const merchant = entity('merchant', { merchant_id: t.string() })
export const payments = stream('payments', {
  schema: { card_id: t.string(), merchant_id: t.string(), amount: t.float64(), paid_at: t.timestamp() },
  eventTime: 'paid_at',
})
export const cardSpend = featureView('card_spend', {
  entity: card, from: payments,
  features: { payments: count().over('lifetime'), spend_1h: sum('amount').over('1h'), spend_mean_24h: mean('amount').over('24h') },
})
export const merchantTakings = featureView('merchant_takings', {
  entity: merchant, from: payments,
  features: { payments: count().over('lifetime'), takings_1h: sum('amount').over('1h'), takings_24h: sum('amount').over('24h') },
})
export const cards = featureService('cards', { features: [cardSpend.all()] })
export const merchants = featureService('merchants', { features: [merchantTakings.all()] })
`

interface Sizes {
  readonly idleMs: number
  readonly slowProbes: number
  readonly slowEveryMs: number
  readonly fastSeconds: number
}

const SIZES: Sizes = { idleMs: 30_000, slowProbes: 200, slowEveryMs: 50, fastSeconds: 15 }
const SIZES_SMOKE: Sizes = { idleMs: 500, slowProbes: 5, slowEveryMs: 20, fastSeconds: 0.5 }

/** `tidemark start` on embedded stores: what its processes take while nothing happens, and how long an event that is appended takes until a request reads it. */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const sizes = smoke ? SIZES_SMOKE : SIZES
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-bench-'))
  mkdirSync(join(folder, 'features'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'features', 'payments.ts'), DEFINITIONS)
  const flags = ['--disable-warning=ExperimentalWarning', resolve('cli/main.ts'), '--project', folder]
  let start: ChildProcess | null = null
  try {
    execFileSync(process.execPath, [...flags, 'apply'])
    start = spawn(process.execPath, [...flags, 'start', '--port', '0'], { stdio: ['ignore', 'ignore', 'inherit'] })
    const pids = await untilRunning(join(folder, '.tidemark'))
    const project = await openProject(folder)
    try {
      return await measure(new Freshness(project), { pids, sizes, smoke })
    } finally {
      await project.close()
    }
  } finally {
    const ended = start === null || start.exitCode !== null || new Promise((done) => start?.once('close', done))
    start?.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Measuring {
  readonly pids: readonly number[]
  readonly sizes: Sizes
  readonly smoke: boolean
}

async function measure(freshness: Freshness, { pids, sizes, smoke }: Measuring): Promise<BenchResult> {
  await freshness.probe()
  await pause(smoke ? 0 : SETTLE_MS)
  const idle = await idleShare(pids, sizes.idleMs)
  const slow = await freshness.atLowRate(sizes)
  const fast = await freshness.underLoad(sizes.fastSeconds)
  const latency = (name: string, times: readonly number[]): BenchPart => {
    const ours = quantile(times, 0.99)
    console.log(`${name}: median ${quantile(times, 0.5)} ms, p99 ${ours} ms, most ${Math.max(...times)} ms`)
    return { name, unit: 'ms, p99', ours, peer: P99_MS_GOAL, ratio: P99_MS_GOAL / ours }
  }
  const parts = [
    latency('single events', slow),
    latency('at 20,000 events/s', fast),
    { name: 'idle', unit: 'share of a core', ours: idle, peer: IDLE_SHARE_GOAL, ratio: IDLE_SHARE_GOAL / idle },
  ]
  return {
    name: 'freshness',
    unit: 'ms from append to readable, p99 at 20,000 events/s',
    ours: parts[1].ours,
    peer: P99_MS_GOAL,
    peerName: 'goal',
    ratio: Math.min(...parts.map(({ ratio }) => ratio)),
    goal: 1,
    hash: await freshness.hash(),
    settings: { smoke, seed: SEED, ...sizes, linesPerRecord: LINES_PER_RECORD, recordsPerSecond: RECORDS_PER_SECOND },
    parts,
  }
}

/** Appends events as a producer in another process does, and reads features as a request does. */
class Freshness {
  readonly #project: Project
  readonly #random = new Random(SEED)
  #probes = 0
  #events = 0

  constructor(project: Project) {
    this.#project = project
  }

  /** One event of a new card: ms until its features count it. */
  async probe(others: readonly string[] = []): Promise<number> {
    const card_id = `probe-${++this.#probes}`
    const began = performance.now()
    await this.#append([...others, this.#line(card_id)])
    const service = await this.#project.registry.service((await this.#serving()).get('cards') ?? '')
    for (;;) {
      const [{ values }] = await this.#project.reader.read(service, [{ card_id }], [])
      if (values[0] === 1) return Math.round((performance.now() - began) * 10) / 10
      await pause(POLL_MS)
    }
  }

  async atLowRate({ slowProbes, slowEveryMs }: Sizes): Promise<number[]> {
    const times: number[] = []
    for (let i = 0; i < slowProbes; i++) {
      times.push(await this.probe())
      await pause(slowEveryMs)
    }
    return times
  }

  /** A record every 10 ms; in every fifth of them the last event is waited for, by the side. */
  async underLoad(seconds: number): Promise<number[]> {
    const probes: Promise<number>[] = []
    const records = Math.ceil(seconds * RECORDS_PER_SECOND)
    const began = performance.now()
    for (let record = 0; record < records; record++) {
      const lines = Array.from({ length: LINES_PER_RECORD - 1 }, () => this.#line(`card-${this.#random.below(20_000)}`))
      if (record % 5 === 0) probes.push(this.probe(lines))
      else await this.#append([...lines, this.#line(`card-${this.#random.below(20_000)}`)])
      await pause(Math.max(0, began + ((record + 1) * 1000) / RECORDS_PER_SECOND - performance.now()))
    }
    return Promise.all(probes)
  }

  /** Of the events that every merchant has had, once all are counted. */
  async hash(): Promise<string> {
    const service = await this.#project.registry.service((await this.#serving()).get('merchants') ?? '')
    const merchants = Array.from({ length: MERCHANTS }, (_, i) => ({ merchant_id: `m-${i}` }))
    for (;;) {
      const vectors = await this.#project.reader.read(service, merchants, [])
      const counts = vectors.map(({ values }) => Number(values[0] ?? 0))
      if (counts.reduce((sum, count) => sum + count, 0) === this.#events)
        return createHash('sha256').update(counts.join()).digest('hex')
      await pause(20)
    }
  }

  async #serving(): Promise<Map<string, string>> {
    const aliases = await this.#project.registry.serviceAliases()
    return new Map(aliases.map(({ name, serving }) => [name, serving ?? '']))
  }

  #line(card_id: string): string {
    const [merchant_id, amount] = [`m-${this.#random.below(MERCHANTS)}`, this.#random.below(100_000) / 100]
    return JSON.stringify({ card_id, merchant_id, amount, paid_at: Date.now() })
  }

  async #append(lines: readonly string[]): Promise<void> {
    this.#events += lines.length
    await this.#project.log.append('source.payments', 0, [Buffer.from(lines.join('\n'))])
  }
}

/** Returns the processes of `tidemark start` once all its roles work. */
async function untilRunning(dataFolder: string): Promise<number[]> {
  for (;;) {
    const start = (await livePresences(dataFolder)).find(({ name }) => name === 'start')
    if (start !== undefined && start.url !== null && start.roles.every(({ state }) => state === 'running'))
      return [start.pid, ...start.roles.flatMap(({ pid }) => pid ?? [])]
    await pause(50)
  }
}

async function idleShare(pids: readonly number[], ms: number): Promise<number> {
  const before = pids.map(processorSeconds)
  const began = performance.now()
  await pause(ms)
  const seconds = (performance.now() - began) / 1000
  const shares = pids.map((pid, i) => (processorSeconds(pid) - before[i]) / seconds)
  console.log(
    `idle, % of a core: ${shares.map((share) => (share * 100).toFixed(2)).join(' + ')} (start, stream, archive, serve)`,
  )
  // A tick at least: less is not measured.
  return Math.max(
    shares.reduce((sum, share) => sum + share, 0),
    1 / TICKS_PER_SECOND / seconds,
  )
}

function quantile(times: readonly number[], share: number): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
}
