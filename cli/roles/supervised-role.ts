import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { WaitedFor } from '../engine-waits.ts'
import type { RoleState } from '../presence.ts'
import type { LogEntry, LogLines } from '../terminal/log-lines.ts'
import { listenArguments } from './listen-flags.ts'
import type { ListenFlags } from './listen-flags.ts'
import { LEASE_MS } from './role-lease.ts'
import { ALIVE_EVERY_MS } from './role-messages.ts'
import type { RoleName, RoleOrder, RoleReport } from './role-messages.ts'
import { describeHang } from './describe-hang.ts'
import { takeHang } from './hang-watch.ts'
import { SUPERVISED } from './supervision.ts'
import { dataFolderOf } from '../open-project.ts'

const MAIN = fileURLToPath(import.meta.url.replace(/roles\/supervised-role\.(ts|js)$/, 'main.$1'))
const BACK_OFF_MS_MIN = 250
const BACK_OFF_MS_MAX = 30_000
/** A process that lived this long starts anew with the shortest pause. */
const HEALTHY_MS = 60_000

type Failure = Extract<RoleReport, { kind: 'failed' }>

export interface SupervisedRoleOptions {
  readonly directory: string
  /** Of a role that answers HTTP; null: the others. */
  readonly listens: ListenFlags | null
  readonly log: LogLines
  /** Called when the state changed. */
  readonly changed: () => void
  /** A process whose event loop has not turned for this long is killed and starts anew. Default: 15 s. */
  readonly stuckMs?: number
}

/** One role in a child process: started, started anew with growing pauses when it dies, stopped for good when starting anew cannot help. */
export class SupervisedRole {
  readonly role: RoleName
  readonly #options: SupervisedRoleOptions
  #child: ChildProcess | null = null
  #state: RoleState['state'] = 'starting'
  #restarts = 0
  #backOffMs = BACK_OFF_MS_MIN
  #startedAt = 0
  #failure: Failure | null = null
  /** The last failure that was said in full: the same one again is only counted. */
  #said = ''
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  #waitsFor: readonly WaitedFor[] = []
  #port: number | null
  url: string | null = null
  /** Whether it ever worked. */
  hasRun = false

  constructor(role: RoleName, options: SupervisedRoleOptions) {
    this.role = role
    this.#options = options
    this.#port = options.listens?.port ?? null
  }

  get state(): RoleState {
    const failure = this.#failure
    return {
      role: this.role,
      state: this.#state,
      pid: this.#child?.pid ?? null,
      restarts: this.#restarts,
      error: failure === null ? null : { code: failure.code, message: failure.message },
      waitsFor: this.#waitsFor,
    }
  }

  start(): void {
    const { directory, listens } = this.#options
    const flags = listens === null ? [] : listenArguments({ ...listens, port: this.#port })
    const child = fork(MAIN, ['--project', directory, '--json', this.role, ...flags], {
      env: { ...process.env, [SUPERVISED]: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.#child = child
    this.#startedAt = performance.now()
    let reported: Failure | null = null
    const watch = this.#watch(child, (failure) => (reported = failure))
    child.on('message', (report: RoleReport) => {
      watch.alive()
      if (report.kind === 'ready') this.#ready(report.url)
      else if (report.kind === 'waits') this.#waits(report.waitsFor)
      else if (report.kind === 'failed') reported = report
    })
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#relay(line))
    child.once('error', (error) => this.#relay(error.message))
    child.once('close', (code, signal) => {
      watch.end()
      this.#ended(reported, code, signal)
    })
  }

  /** Counts beats that were missed, not time: a machine that slept is no reason. From the first beat on: a start may take its time. */
  #watch(child: ChildProcess, stuck: (failure: Failure) => void): { alive(): void; end(): void } {
    const { stuckMs = LEASE_MS } = this.#options
    let missed = -Infinity
    const timer = setInterval(() => {
      if (++missed * ALIVE_EVERY_MS < stuckMs) return
      const hung = takeHang(dataFolderOf(this.#options.directory), child.pid)
      const message = `its event loop has not turned for ${stuckMs / 1000} s, so it was killed (nothing is lost): ${describeHang(hung)}`
      stuck({ kind: 'failed', code: 'TM_ROLE_STUCK', message, again: true })
      child.kill('SIGKILL')
    }, ALIVE_EVERY_MS)
    return { alive: () => (missed = 0), end: () => clearInterval(timer) }
  }

  order(order: RoleOrder): void {
    if (this.#child?.connected === true) this.#child.send(order, () => {})
  }

  /** Asks the process to stop; kills it if it has not after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const child = this.#child
    if (child === null) return
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    this.order({ kind: 'stop' })
    const timer = setTimeout(() => {
      this.#options.log('warn', this.role, `did not stop within ${graceMs / 1000} s: killed (nothing is lost)`)
      child.kill('SIGKILL')
    }, graceMs)
    await ended
    clearTimeout(timer)
  }

  kill(): void {
    this.#stopping = true
    this.#child?.kill('SIGKILL')
  }

  #ready(url: string | null): void {
    if (this.#restarts > 0 && this.#state !== 'running') this.#options.log('info', this.role, 'runs again')
    this.#state = 'running'
    this.hasRun = true
    this.#failure = null
    this.url = url
    // Port 0 asks for any free port: a later process takes the same one.
    if (url !== null) this.#port = Number(new URL(url).port)
    this.#options.changed()
  }

  #waits(waitsFor: readonly WaitedFor[]): void {
    this.#waitsFor = waitsFor
    this.#options.changed()
  }

  #ended(reported: Failure | null, code: number | null, signal: NodeJS.Signals | null): void {
    this.#child = null
    this.#waitsFor = []
    if (this.#stopping) {
      this.#state = 'stopped'
      return
    }
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
    const failure = reported ?? { kind: 'failed', code: 'TM_ROLE_DIED', message: `the process ${how}`, again: true }
    this.#failure = failure
    if (failure.again) this.#again(failure)
    else this.#state = 'stopped'
    this.#options.changed()
  }

  #again(failure: { code: string; message: string }): void {
    if (performance.now() - this.#startedAt > HEALTHY_MS) this.#backOffMs = BACK_OFF_MS_MIN
    const pause = this.#backOffMs
    this.#backOffMs = Math.min(2 * pause, BACK_OFF_MS_MAX)
    this.#state = 'restarting'
    this.#restarts++
    const text = `${failure.code}: ${failure.message}`
    const message = text === this.#said ? `${failure.code} again` : text
    this.#said = text
    this.#options.log('warn', this.role, `${message}; starts anew in ${pause / 1000} s`, { code: failure.code })
    this.#timer = setTimeout(() => this.start(), pause)
  }

  /** A child's log lines are documents; anything else (a crash report) is passed on as it is. */
  #relay(line: string): void {
    if (line.trim() === '') return
    const entry = parseEntry(line)
    if (entry === null) this.#options.log('error', this.role, line)
    else {
      const { level, role, message, ...fields } = entry
      this.#options.log(level, role, message, fields)
    }
  }
}

function parseEntry(line: string): LogEntry | null {
  if (!line.startsWith('{')) return null
  try {
    const entry = JSON.parse(line) as LogEntry
    return typeof entry.message === 'string' && typeof entry.role === 'string' ? entry : null
  } catch {
    return null
  }
}
