import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { BenchPart, BenchResult } from './bench-result.ts'
import { runForJson, start } from './feature-read/child-process.ts'
import type { Running } from './feature-read/child-process.ts'
import { openDebianTools } from './feature-read/debian-tools.ts'
import type { DebianTools } from './feature-read/debian-tools.ts'
import { feastBody, startFeast } from './feature-read/feast-peer.ts'
import { fillFlightsProject } from './feature-read/flights-project.ts'

const CACHE = join(homedir(), '.cache', 'tidemark-bench')
const CONNECTIONS = 16
const ROUNDS = 3
const SECONDS = 5
const REQUESTS_PER_SECOND_GOAL = 15_000
const RATIO_GOAL = 20
const P99_GOAL_MS = 0.2

interface Load {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly refused: number
  readonly broken: number
}

interface Vector {
  readonly route: string
  readonly body: string
  readonly values: (number | null)[]
}

/** One entity, 50 doubles from four views: requests a second over HTTP from one process, and the time of a read in process. */
export async function run({ smoke }: { smoke: boolean }): Promise<BenchResult> {
  const project = await fillFlightsProject(smoke)
  const server = await serve(project.folder)
  try {
    const vectors = await readVectors(server.url, project.routes)
    const bodies = join(project.folder, 'bodies.jsonl')
    writeFileSync(bodies, `${vectors.map(({ body }) => body).join('\n')}\n`)
    const hash = createHash('sha256').update(JSON.stringify(vectors)).digest('hex')
    const settings = { smoke, connections: CONNECTIONS, routes: vectors.length, workers: 1 }
    if (smoke) return await smokeResult(server.url, project.folder, bodies, vectors, { hash, settings })
    const tools = openDebianTools(CACHE)
    const feast = await startFeast(CACHE, tools, vectors)
    try {
      for (const { route, values } of vectors.slice(0, 100)) {
        if (JSON.stringify(await feast.read(route)) !== JSON.stringify(values))
          throw new Error(`Feast serves other values for ${route}`)
      }
      const feastBodies = join(project.folder, 'feast-bodies.jsonl')
      writeFileSync(feastBodies, `${vectors.map(({ route }) => feastBody(route)).join('\n')}\n`)
      const ours = { url: server.url, target: '/v1/features/delay_risk', bodies }
      const theirs = { url: feast.url, target: '/get-online-features', bodies: feastBodies }
      const http = await interleaved(tools, ours, theirs)
      const inProcess = await readInProcess(project.folder, bodies, SECONDS)
      const feastInProcess = await feast.inProcess(SECONDS)
      return resultOf(http, inProcess, feastInProcess, { hash, settings })
    } finally {
      await feast.stop()
    }
  } finally {
    await server.stop()
    project.remove()
  }
}

async function serve(folder: string): Promise<Running & { url: string }> {
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
  return { url, stop }
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

interface Target {
  readonly url: string
  readonly target: string
  readonly bodies: string
}

function load(tools: DebianTools, { url, target, bodies }: Target, seconds: number): Promise<Load> {
  return runForJson<Load>(
    tools.wrk,
    [
      '-t1',
      `-c${CONNECTIONS}`,
      `-d${seconds}s`,
      '--timeout',
      '10s',
      '-s',
      join(import.meta.dirname, 'feature-read/post.lua'),
      url,
    ],
    { env: { ...tools.env, TARGET: target, BODIES: bodies } },
  )
}

/** Warm-up, then the two servers in turn; the median round of each. */
async function interleaved(tools: DebianTools, ours: Target, theirs: Target): Promise<{ ours: Load; theirs: Load }> {
  await load(tools, ours, 3)
  await load(tools, theirs, 3)
  const rounds: { ours: Load; theirs: Load }[] = []
  for (let round = 0; round < ROUNDS; round++)
    rounds.push({ ours: await load(tools, ours, SECONDS), theirs: await load(tools, theirs, SECONDS) })
  const failed = rounds
    .flatMap((round) => [round.ours, round.theirs])
    .find(({ refused, broken }) => refused + broken > 0)
  if (failed !== undefined) throw new Error(`requests failed: ${JSON.stringify(failed)}`)
  const median = (loads: Load[]): Load =>
    loads.sort((a, b) => a.requestsPerSecond - b.requestsPerSecond)[loads.length >> 1]
  return { ours: median(rounds.map((round) => round.ours)), theirs: median(rounds.map((round) => round.theirs)) }
}

interface Times {
  readonly p50Ms: number
  readonly p99Ms: number
}

function readInProcess(folder: string, bodies: string, seconds: number): Promise<Times> {
  const script = join(import.meta.dirname, 'feature-read/in-process.ts')
  return runForJson<Times>(process.execPath, [script, folder, bodies, String(seconds)])
}

type Common = Pick<BenchResult, 'hash' | 'settings'>

function resultOf(http: { ours: Load; theirs: Load }, ours: Times, theirs: Times, common: Common): BenchResult {
  const parts: BenchPart[] = [
    {
      name: 'HTTP, beside feast serve by feature list, 1 worker',
      unit: 'requests/s',
      ours: http.ours.requestsPerSecond,
      peer: http.theirs.requestsPerSecond,
      ratio: http.ours.requestsPerSecond / http.theirs.requestsPerSecond,
    },
    {
      name: 'HTTP p50',
      unit: 'ms',
      ours: http.ours.p50Ms,
      peer: http.theirs.p50Ms,
      ratio: http.theirs.p50Ms / http.ours.p50Ms,
    },
    {
      name: 'HTTP p99',
      unit: 'ms',
      ours: http.ours.p99Ms,
      peer: http.theirs.p99Ms,
      ratio: http.theirs.p99Ms / http.ours.p99Ms,
    },
    { name: 'in process p50', unit: 'ms', ours: ours.p50Ms, peer: theirs.p50Ms, ratio: theirs.p50Ms / ours.p50Ms },
    { name: 'in process p99', unit: 'ms', ours: ours.p99Ms, peer: theirs.p99Ms, ratio: theirs.p99Ms / ours.p99Ms },
  ]
  return {
    name: 'feature-read',
    unit: 'requests/s',
    ours: http.ours.requestsPerSecond,
    peer: http.theirs.requestsPerSecond,
    peerName: 'feast 0.67.0, Redis, feast serve by feature list',
    ratio: parts[0].ratio,
    goal: RATIO_GOAL,
    ...common,
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
    { name: 'in process p99', unit: 'ms', ours: p99Ms, peer: P99_GOAL_MS, ratio: P99_GOAL_MS / p99Ms },
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
    ...common,
    parts,
  }
}
