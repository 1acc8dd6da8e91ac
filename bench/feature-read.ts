import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { fillCardsProject } from './feature-read/cards-project.ts'
import { runForJson, start } from './feature-read/child-process.ts'
import type { Running } from './feature-read/child-process.ts'
import { openDebianTools } from './feature-read/debian-tools.ts'
import { feastBody, startFeast } from './feature-read/feast-peer.ts'
import { fillFlightsProject } from './feature-read/flights-project.ts'
import { CONNECTIONS, loadInTurn } from './feature-read/http-load.ts'
import type { Rounds } from './feature-read/http-load.ts'

const CACHE = join(homedir(), '.cache', 'tidemark-bench')
const SECONDS = 5
const REQUESTS_PER_SECOND_GOAL = 15_000
const RATIO_GOAL = 20
const P99_GOAL_MS = 0.2
const CARDS = { full: 1_000_000, smoke: 2000 }
const COLD_READS = { full: 100_000, smoke: 500 }
const SEED = 7

interface Vector {
  readonly route: string
  readonly body: string
  readonly values: (number | null)[]
}

/**
 * One entity, 50 doubles from four views: requests a second over HTTP from one process, and the time of a read in process; and of cards read for the first
 * time, out of a million. The ratio is that of HTTP.
 */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const mode = smoke ? 'smoke' : 'full'
  const project = await fillFlightsProject(smoke)
  const server = await serve(project.folder)
  try {
    const vectors = await readVectors(server.url, project.routes)
    const bodies = join(project.folder, 'bodies.jsonl')
    writeFileSync(bodies, `${vectors.map(({ body }) => body).join('\n')}\n`)
    const cold = await readCold(mode)
    const hash = createHash('sha256').update(JSON.stringify(vectors)).update(cold.hash).digest('hex')
    const settings = { smoke, connections: CONNECTIONS, routes: vectors.length, workers: 1, coldCards: CARDS[mode] }
    if (smoke) return await smokeResult(server.url, project.folder, bodies, vectors, { cold, hash, settings })
    const tools = openDebianTools(CACHE)
    const feast = await startFeast(CACHE, tools, vectors)
    try {
      for (const { route, values } of vectors.slice(0, 100)) {
        if (JSON.stringify(await feast.read(route)) !== JSON.stringify(values))
          throw new Error(`Feast serves other values for ${route}`)
      }
      const feastBodies = join(project.folder, 'feast-bodies.jsonl')
      writeFileSync(feastBodies, `${vectors.map(({ route }) => feastBody(route)).join('\n')}\n`)
      const ours = { url: server.url, pid: server.pid, target: '/v1/features/delay_risk', bodies }
      const theirs = { url: feast.url, pid: feast.pid, target: '/get-online-features', bodies: feastBodies }
      const http = await loadInTurn(tools, ours, theirs)
      const inProcess = await readInProcess(project.folder, bodies, SECONDS)
      const feastInProcess = await feast.inProcess(SECONDS)
      return resultOf(http, inProcess, feastInProcess, { cold, hash, settings })
    } finally {
      await feast.stop()
    }
  } finally {
    await server.stop()
    project.remove()
  }
}

async function serve(folder: string): Promise<Running & { url: string; pid: number }> {
  const cli = join(import.meta.dirname, '../cli/main.ts')
  const { child, stop } = start(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', cli, '--project', folder, 'serve', '--port', '0'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const url = await new Promise<string>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the server ended')))
    child.stdout?.on('data', (chunk: Buffer) => {
      const match = /on (http:\S+)/.exec(chunk.toString())
      if (match !== null) resolve(match[1])
    })
  })
  return { url, pid: child.pid ?? 0, stop }
}

/** The vector of every route that has all 50 values. */
async function readVectors(
  url: string,
  routes: readonly { readonly origin: string; readonly destination: string }[],
): Promise<Vector[]> {
  const answer = await fetch(`${url}/v1/features/delay_risk`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ entities: routes }),
  })
  if (!answer.ok) throw new Error(`the server answered ${answer.status}: ${await answer.text()}`)
  const { rows } = (await answer.json()) as { rows: { values: (number | null)[] }[] }
  return routes
    .map((entity, i) => ({
      route: `${entity.origin}-${entity.destination}`,
      body: JSON.stringify({ entities: [entity] }),
      values: rows[i].values,
    }))
    .filter(({ values }) => values.every((value) => value !== null))
}

interface Times {
  readonly p50Ms: number
  readonly p99Ms: number
}

function readInProcess(folder: string, bodies: string, seconds: number): Promise<Times> {
  const script = join(import.meta.dirname, 'feature-read/in-process.ts')
  return runForJson<Times>(process.execPath, [script, folder, bodies, String(seconds)])
}

interface ColdReads extends Times {
  readonly readsPerSecond: number
  readonly hash: string
}

async function readCold(mode: keyof typeof CARDS): Promise<ColdReads> {
  const project = await fillCardsProject(CARDS[mode])
  try {
    const script = join(import.meta.dirname, 'feature-read/cold-reads.ts')
    const args = [script, project.folder, ...[CARDS[mode], COLD_READS[mode], SEED].map(String)]
    return await runForJson<ColdReads>(process.execPath, args)
  } finally {
    project.remove()
  }
}

type Common = Pick<BenchResult, 'hash' | 'settings'> & { readonly cold: ColdReads }

/** Less is better. */
function timePart(name: string, ours: number, peer: number, unit = 'ms'): BenchPart {
  return { name, unit, ours, peer, ratio: peer / ours }
}

function resultOf(http: { ours: Rounds; theirs: Rounds }, ours: Times, theirs: Times, common: Common): BenchResult {
  const { cold, hash, settings } = common
  const [our, their] = [http.ours.median, http.theirs.median]
  const rate = (name: string, a: number, b: number): BenchPart => {
    return { name, unit: 'requests/s', ours: a, peer: b, ratio: a / b }
  }
  const parts: BenchPart[] = [
    rate('HTTP, beside feast serve by feature list, 1 worker', our.requestsPerSecond, their.requestsPerSecond),
    rate('HTTP, best round', http.ours.best.requestsPerSecond, http.theirs.best.requestsPerSecond),
    timePart('HTTP p50', our.p50Ms, their.p50Ms),
    timePart('HTTP p99', our.p99Ms, their.p99Ms),
    timePart('HTTP, processor time of the server', our.cpuUs, their.cpuUs, 'µs/request'),
    timePart('in process p50', ours.p50Ms, theirs.p50Ms),
    timePart('in process p99', ours.p99Ms, theirs.p99Ms),
    timePart('in process p50, each card for the first time', cold.p50Ms, theirs.p50Ms),
    timePart('in process p99, each card for the first time', cold.p99Ms, theirs.p99Ms),
  ]
  return {
    name: 'feature-read',
    unit: 'requests/s',
    ours: our.requestsPerSecond,
    peer: their.requestsPerSecond,
    peerName: 'feast 0.67.0, Redis, feast serve by feature list',
    ratio: parts[0].ratio,
    goal: RATIO_GOAL,
    hash,
    settings: {
      ...settings,
      rounds: http.ours.rates.join(' '),
      peerRounds: http.theirs.rates.join(' '),
      coldReadsPerSecond: Math.round(cold.readsPerSecond),
    },
    parts,
  }
}

/** Without the peer: sequential requests, against the goals. */
async function smokeResult(
  url: string,
  folder: string,
  bodies: string,
  vectors: readonly Vector[],
  common: Common,
): Promise<BenchResult> {
  const began = performance.now()
  for (const { body } of vectors.slice(0, 200)) {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${url}/v1/features/delay_risk`, { method: 'POST', headers, body })
    await answer.arrayBuffer()
  }
  const rate = (Math.min(200, vectors.length) / (performance.now() - began)) * 1000
  const { p99Ms } = await readInProcess(folder, bodies, 0.2)
  const parts = [
    {
      name: 'HTTP, one after the other',
      unit: 'requests/s',
      ours: rate,
      peer: REQUESTS_PER_SECOND_GOAL,
      ratio: rate / REQUESTS_PER_SECOND_GOAL,
    },
    timePart('in process p99', p99Ms, P99_GOAL_MS),
    timePart('in process p99, each card for the first time', common.cold.p99Ms, P99_GOAL_MS),
  ]
  const worst = parts.reduce((a, b) => (b.ratio < a.ratio ? b : a))
  return {
    name: 'feature-read',
    unit: worst.unit,
    ours: worst.ours,
    peer: worst.peer,
    peerName: 'goal',
    ratio: worst.ratio,
    goal: 1,
    hash: common.hash,
    settings: common.settings,
    parts,
  }
}
