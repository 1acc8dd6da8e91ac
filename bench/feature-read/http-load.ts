import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runForJson } from './child-process.ts'
import type { DebianTools } from './debian-tools.ts'

export const CONNECTIONS = 16
const ROUNDS = 5
const SECONDS = 4
/** A server is warm when a round is no more than this much faster than the one before. */
const WARM_GAIN = 1.05
const WARM_ROUNDS_MAX = 8
const TICKS_PER_SECOND = 100

export interface Target {
  readonly url: string
  /** Of the server, whose processor time is measured. */
  readonly pid: number
  readonly target: string
  /** File of bodies, one a line: the load takes a random one each time. */
  readonly bodies: string
}

interface WrkReport {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly requests: number
  readonly refused: number
  readonly broken: number
}

export interface Load {
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of the server for a request: hardly moved by what else the machine does. */
  readonly cpuUs: number
}

export interface Rounds {
  /** The median round by requests a second. */
  readonly median: Load
  readonly best: Load
  /** Requests a second of every round, in order. */
  readonly rates: readonly number[]
}

/** Both servers warmed up, then loaded in turn, round by round: what disturbs the machine for a while disturbs both. */
export async function loadInTurn(
  tools: DebianTools,
  ours: Target,
  theirs: Target,
): Promise<{ readonly ours: Rounds; readonly theirs: Rounds }> {
  for (const target of [ours, theirs]) await warmUp(tools, target)
  const loads: { ours: Load[]; theirs: Load[] } = { ours: [], theirs: [] }
  for (let round = 0; round < ROUNDS; round++) {
    loads.ours.push(await load(tools, ours, SECONDS))
    loads.theirs.push(await load(tools, theirs, SECONDS))
  }
  return { ours: roundsOf(loads.ours), theirs: roundsOf(loads.theirs) }
}

async function warmUp(tools: DebianTools, target: Target): Promise<void> {
  let before = 0
  for (let round = 0; round < WARM_ROUNDS_MAX; round++) {
    const { requestsPerSecond } = await load(tools, target, 2)
    if (requestsPerSecond < before * WARM_GAIN) return
    before = requestsPerSecond
  }
}

async function load(tools: DebianTools, { url, pid, target, bodies }: Target, seconds: number): Promise<Load> {
  const script = join(import.meta.dirname, 'post.lua')
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, url]
  const before = cpuSeconds(pid)
  const report = await runForJson<WrkReport>(tools.wrk, args, {
    env: { ...tools.env, TARGET: target, BODIES: bodies },
  })
  if (report.refused + report.broken > 0) throw new Error(`requests failed: ${JSON.stringify(report)}`)
  const { requestsPerSecond, p50Ms, p99Ms, requests } = report
  return { requestsPerSecond, p50Ms, p99Ms, cpuUs: ((cpuSeconds(pid) - before) / requests) * 1e6 }
}

/** User and system time so far of a process and those that it started: fields 14 and 15 of /proc/PID/stat (proc_pid_stat(5)). */
function cpuSeconds(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13)
  const own = (Number(user) + Number(system)) / TICKS_PER_SECOND
  return children.reduce((sum, child) => sum + cpuSeconds(Number(child)), own)
}

function roundsOf(loads: readonly Load[]): Rounds {
  const sorted = loads.toSorted((a, b) => a.requestsPerSecond - b.requestsPerSecond)
  return {
    median: sorted[sorted.length >> 1],
    best: sorted[sorted.length - 1],
    rates: loads.map(({ requestsPerSecond }) => Math.round(requestsPerSecond)),
  }
}
