import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { livePresences } from '../../cli/presence.ts'
import type { RoleState } from '../../cli/presence.ts'
import { until } from '../services/until.ts'
import { CliProcess, tidemark, tidemarkJson } from '../support/cli-process.ts'
import { CARDS, EngineProject } from '../support/engine-project.ts'
import { Random } from '../support/random.ts'
import type { ProofOptions } from './proof-options.ts'

const SECONDS = 60
/** No request waits longer for its answer, whatever is away. */
const ANSWER_MS_MAX = 12_000

/** What happens to an engine for a while. S3's server keeps its objects in memory, so it is never killed. */
export const OUTAGES = {
  'redis stopped': { code: 'TM_ONLINE_UNAVAILABLE', answers: false },
  'redis killed': { code: 'TM_ONLINE_UNAVAILABLE', answers: false },
  'postgres stopped': { code: 'TM_METADATA_UNAVAILABLE', answers: true },
  'postgres killed': { code: 'TM_METADATA_UNAVAILABLE', answers: true },
  's3 stopped': { code: 'TM_OBJECTS_UNAVAILABLE', answers: true },
} as const
export type Outage = keyof typeof OUTAGES

interface LogDocument {
  readonly level: string
  readonly role: string
  readonly message: string
  readonly code?: string
}

/**
 * Each engine away for a while under `start`, stopped (its connections stand and nothing answers) or killed, while events come and features are asked for. No role ends: those that need the engine wait, say so once, and say once
 * that it is over; requests are answered, or refused with the code; afterwards every state is, byte for byte, as if nothing had been.
 */
export async function prove({ rounds = 1, seed }: ProofOptions): Promise<void> {
  const cleanups: (() => unknown)[] = []
  const context = { after: (fn: () => unknown) => cleanups.push(fn) } as unknown as TestContext
  try {
    const random = new Random(seed)
    const all = Object.keys(OUTAGES) as Outage[]
    const outages = Array.from({ length: rounds }, () => random.shuffle(all)).flat()
    await proveOutages(context, { random, outages, seconds: SECONDS })
  } finally {
    for (const clean of cleanups.toReversed()) await clean()
  }
}

export async function proveOutages(
  context: TestContext,
  {
    random,
    outages,
    seconds,
  }: { readonly random: Random; readonly outages: readonly Outage[]; readonly seconds: number },
): Promise<void> {
  const project = await EngineProject.open(context, random)
  const started = new Started(context, project)
  await started.ready()
  for (const outage of outages) await started.goThrough(outage, seconds)
  await started.end()
  await project.verdict()
  const { rows, mismatches } = await tidemarkJson<{ rows: number; mismatches: unknown[] }>(project.folder, 'verify')
  assert.ok(rows > 0)
  assert.deepEqual(mismatches, [])
}

class Started {
  readonly #project: EngineProject
  readonly #tree: CliProcess
  #url = ''
  #pids: (number | null)[] = []

  constructor(context: TestContext, project: EngineProject) {
    this.#project = project
    this.#tree = new CliProcess(context, project.folder, '--json', 'start', '--port', '0')
  }

  async ready(): Promise<void> {
    ;[, this.#url] = await this.#tree.line(/"url":"(http:[^"]+)"/)
    await this.#project.append(100)
    await until(async () => (await fetch(`${this.#url}/readyz`)).status === 200)
    // A name that was never answered cannot be while the metadata store is away.
    assert.equal(await this.#ask(''), 200)
    this.#pids = (await this.#roles()).map(({ pid }) => pid)
  }

  async goThrough(outage: Outage, seconds: number): Promise<void> {
    const { code, answers } = OUTAGES[outage]
    const before = this.#documents().length
    const back = await this.#begin(outage)
    const end = performance.now() + seconds * 1000
    const seen = { waits: false, unready: false, told: false, statuses: new Set<number>() }
    while (performance.now() < end || !seen.waits || !seen.told) {
      assert.ok(performance.now() < end + 60_000, `${outage}: ${JSON.stringify(seen)}\n${this.#tree.output}`)
      await this.#project.append(5)
      seen.statuses.add(await this.#ask(code))
      const ready = await fetch(`${this.#url}/readyz`)
      const { reasons } = (await ready.json()) as { reasons: string[] }
      seen.unready ||= ready.status === 503
      seen.told ||= reasons.some((reason) => reason.includes(code))
      seen.waits ||= (await this.#roles()).some(({ waitsFor }) => waitsFor.some((waited) => waited.code === code))
      await pause(100)
    }
    assert.equal(seen.statuses.has(503), !answers, outage)
    assert.equal(seen.unready, !answers, outage)
    if (code !== 'TM_OBJECTS_UNAVAILABLE') {
      const { code: exit, stdout, stderr } = await tidemark(this.#project.folder, 'status')
      assert.equal(exit, 1)
      assert.match(stderr, new RegExp(`^${code}`))
      assert.match(stdout, new RegExp(`waiting.*${code} since`))
    }
    await back()
    await until(async () => (await this.#roles()).every(({ waitsFor }) => waitsFor.length === 0))
    await until(async () => (await fetch(`${this.#url}/readyz`)).status === 200)
    await tidemarkJson(this.#project.folder, 'wait', '--timeout', '60s')
    assert.equal(await this.#ask(code), 200)
    this.#checkLines(outage, before)
    const roles = await this.#roles()
    assert.deepEqual(
      roles.map(({ pid }) => pid),
      this.#pids,
      'no role was started anew',
    )
  }

  async end(): Promise<void> {
    this.#tree.child.kill('SIGTERM')
    assert.equal(await this.#tree.exited, 0, this.#tree.output)
  }

  /** One warning for each role and cause, and one line when it is over; no other warning. */
  #checkLines(outage: Outage, before: number): void {
    const { code } = OUTAGES[outage]
    const lines = this.#documents().slice(before)
    const text = JSON.stringify(lines, null, 1)
    const warned = lines.filter(({ level }) => level === 'warn' || level === 'error')
    assert.ok(warned.length > 0, text)
    for (const line of warned) assert.equal(line.code, code, text)
    const roles = warned.map(({ role }) => role)
    assert.equal(new Set(roles).size, roles.length, text)
    const over = lines.filter(({ level, message }) => level === 'info' && message.includes(`${code} is over`))
    assert.deepEqual(over.map(({ role }) => role).toSorted(), roles.toSorted(), text)
  }

  /** Returns what ends it. */
  async #begin(outage: Outage): Promise<() => Promise<void>> {
    const { redis, postgres, s3 } = this.#project.servers
    const [name, how] = outage.split(' ')
    const server = { redis: redis.node, postgres: postgres.process, s3: s3.process }[name]
    assert.ok(server !== undefined)
    if (how === 'killed') {
      await server.kill()
      return () => server.start()
    }
    await server.pause()
    return async () => server.resume()
  }

  /** The status of a request for every card; a refusal names the cause. */
  async #ask(code: string): Promise<number> {
    const began = performance.now()
    const response = await fetch(`${this.#url}/v1/features/fraud`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        entities: Array.from({ length: CARDS }, (_, i) => ({ card_id: `c-${i}` })),
        request: Array.from({ length: CARDS }, () => ({ amount: 1 })),
      }),
    })
    const text = await response.text()
    assert.ok(performance.now() - began < ANSWER_MS_MAX, `a request took ${performance.now() - began} ms`)
    if (response.status === 503) assert.equal((JSON.parse(text) as { code: string }).code, code, text)
    else assert.equal(response.status, 200, text)
    return response.status
  }

  async #roles(): Promise<readonly RoleState[]> {
    const presences = await livePresences(`${this.#project.folder}/.tidemark`)
    return presences.find(({ name }) => name === 'start')?.roles ?? []
  }

  #documents(): LogDocument[] {
    return this.#tree.output
      .split('\n')
      .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as LogDocument] : []))
  }
}
