import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { WorkRole } from '../../cli/run-roles.ts'
import type { PartOwner } from '../../streams/workers/worker-group.ts'
import { until } from '../services/until.ts'
import { tidemarkJson } from '../support/cli-process.ts'
import { EngineProject } from '../support/engine-project.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

/** So short that a worker which is stopped for a while has lost its parts when it goes on; and a process is not ended for that here. */
const WORKER_LEASE_MS = 1500
const PROCESS_LEASE_MS = 60_000
const STOPPED_MS_MAX = 4000
const WORKERS_MAX = 4
const STEPS = 40

const DEEDS = ['join', 'leave', 'kill', 'stop'] as const
type Deed = (typeof DEEDS)[number]

/**
 * Stream and archive processes join, leave, are killed (kill -9) and stopped past their leases and go on, at random moments, while events flow; on embedded stores and on Redis, PostgreSQL and S3 in turn. When all is quiet every part has one
 * living owner, evenly; states are byte for byte those of every event applied once, and the archive holds each event once.
 */
export async function prove({ rounds = 6, seed }: ProofOptions): Promise<void> {
  const done: Record<Deed, number> = { join: 0, leave: 0, kill: 0, stop: 0 }
  for (let round = 0; round < rounds; round++) {
    const cleanups: (() => unknown)[] = []
    const context = { after: (fn: () => unknown) => cleanups.push(fn) } as unknown as TestContext
    try {
      const options = { random: new Random(seed + round), onEngines: round % 2 === 1, steps: STEPS }
      for (const [deed, count] of Object.entries(await proveWorkers(context, options))) done[deed as Deed] += count
    } finally {
      for (const clean of cleanups.toReversed()) await clean()
    }
  }
  console.log(`# ${DEEDS.map((deed) => `${deed} ${done[deed]}`).join(', ')}`)
  assert.ok(
    DEEDS.every((deed) => done[deed] > 0),
    JSON.stringify(done),
  )
}

export interface WorkersOptions {
  readonly random: Random
  readonly onEngines: boolean
  readonly steps: number
}

export async function proveWorkers(
  context: TestContext,
  { random, onEngines, steps }: WorkersOptions,
): Promise<Record<Deed, number>> {
  const project = onEngines ? await EngineProject.open(context, random) : await EngineProject.embedded(context, random)
  const workers = new Workers(context, project, random)
  await workers.begin()
  const done: Record<Deed, number> = { join: 0, leave: 0, kill: 0, stop: 0 }
  for (let step = 0; step < steps; step++) {
    await project.append(random.below(60))
    const deed = random.pick(DEEDS)
    if (await workers.do(deed)) done[deed]++
    await pause(random.below(600))
  }
  await workers.rest()
  await project.append(20)
  await tidemarkJson(project.folder, 'wait', '--timeout', '120s')
  await workers.checkOwners()
  await workers.end()
  await project.verdict()
  return done
}

interface Worker {
  readonly role: WorkRole
  readonly child: ChildProcess
  readonly exited: Promise<number | null>
  output: string
  resumed: Promise<void> | null
}

class Workers {
  readonly #context: TestContext
  readonly #project: EngineProject
  readonly #random: Random
  #living: Worker[] = []

  constructor(context: TestContext, project: EngineProject, random: Random) {
    this.#context = context
    this.#project = project
    this.#random = random
  }

  async begin(): Promise<void> {
    for (const role of ['stream', 'stream', 'archive'] as const) this.#start(role)
    await Promise.all(this.#living.map((worker) => until(() => worker.output.includes('runs ('))))
  }

  /** False: not now. */
  async do(deed: Deed): Promise<boolean> {
    const random = this.#random
    if (deed === 'join') {
      if (this.#living.length >= WORKERS_MAX) return false
      this.#start(random.pick(['stream', 'stream', 'archive']))
      return true
    }
    const able = this.#living.filter(({ resumed, output }) => resumed === null && output.includes('runs ('))
    if (able.length === 0) return false
    const worker = random.pick(able)
    if (deed === 'stop') {
      // By a process of its own: where the one stopped holds the lock of the embedded log, whoever appends here waits for it with its whole event loop.
      const { pid } = worker.child
      const seconds = random.below(STOPPED_MS_MAX) / 1000
      const stopping = spawn('sh', ['-c', `kill -STOP ${pid}; sleep ${seconds}; kill -CONT ${pid}`], {
        stdio: 'ignore',
      })
      worker.resumed = once(stopping, 'close').then(() => {
        worker.resumed = null
      })
      return true
    }
    this.#living.splice(this.#living.indexOf(worker), 1)
    if (deed === 'kill') worker.child.kill('SIGKILL')
    else await this.#leave(worker)
    return true
  }

  /** Every worker goes on, and of each role there is one at least. */
  async rest(): Promise<void> {
    for (const { resumed } of this.#living) await resumed
    for (const role of ['stream', 'archive'] as const)
      if (!this.#living.some((worker) => worker.role === role)) this.#start(role)
  }

  /** Every part has one living owner, and none has two more than another. */
  async checkOwners(): Promise<void> {
    const read = async (): Promise<readonly PartOwner[]> =>
      (await tidemarkJson<{ parts: PartOwner[] }>(this.#project.folder, 'status')).parts
    const problem = async (): Promise<string | null> => {
      const parts = await read()
      for (const role of ['stream', 'archive'] as const) {
        const pids = this.#living.filter((worker) => worker.role === role).map(({ child }) => child.pid)
        const own = parts.filter(({ kind }) => kind === role)
        const counts = pids.map((pid) => own.filter(({ about }) => about?.pid === pid).length)
        // 4 partitions and a source, fills and parked views; 4 partitions, compaction and scheduled imports.
        const all = role === 'stream' ? 7 : 6
        if (counts.reduce((a, b) => a + b, 0) !== all || own.length !== all) return `${role}: ${JSON.stringify(own)}`
        if (own.some(({ hasEnded }) => hasEnded)) return `ended: ${JSON.stringify(own)}`
        if (Math.max(...counts) - Math.min(...counts) > 1) return `uneven: ${counts.join()}`
      }
      return null
    }
    let last: string | null = ''
    await until(async () => (last = await problem()) === null).catch((error: unknown) => {
      throw new Error(last ?? '', { cause: error })
    })
  }

  async end(): Promise<void> {
    for (const worker of this.#living.splice(0)) await this.#leave(worker)
  }

  async #leave(worker: Worker): Promise<void> {
    worker.child.kill('SIGTERM')
    assert.equal(await worker.exited, 0, worker.output)
  }

  #start(role: WorkRole): void {
    const args = ['--disable-warning=ExperimentalWarning', 'test/support/role-process.ts', this.#project.folder, role]
    const child = spawn(process.execPath, [...args, String(PROCESS_LEASE_MS), String(WORKER_LEASE_MS)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#context.after(() => child.kill('SIGKILL'))
    const worker: Worker = {
      role,
      child,
      exited: new Promise((resolve) => child.once('close', resolve)),
      output: '',
      resumed: null,
    }
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (worker.output += chunk.toString()))
    this.#living.push(worker)
  }
}
