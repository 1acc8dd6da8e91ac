import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { tryProcessLock } from '../../stores/process-lock.ts'
import { failCli } from '../errors.ts'
import { holdPresence, livePresences } from '../presence.ts'
import type { RoleState } from '../presence.ts'
import { aborted } from '../stop-signal.ts'
import { TidemarkError } from '../../features/errors/tidemark-error.ts'
import type { LogLines } from '../terminal/log-lines.ts'
import type { WaitedFor } from '../engine-waits.ts'
import { describeTime } from '../terminal/describe-amounts.ts'
import { ROLE_NAMES } from './role-messages.ts'
import type { RoleName } from './role-messages.ts'
import type { ListenFlags } from './listen-flags.ts'
import { SupervisedRole } from './supervised-role.ts'

/** A role that ends this often before all work even once is not going to. */
const STARTS_MAX = 4
const STOP_MS_MAX = 10_000

export interface SupervisorOptions extends ListenFlags {
  readonly directory: string
  readonly log: LogLines
  readonly signal: AbortSignal
  /** See `SupervisedRoleOptions`. */
  readonly stuckMs?: number
  /** Told once, when every role works. */
  readonly ready?: (url: string) => void
}

/**
 * Every role in a child process of its own, so that none delays another, until aborted. TM_ALREADY_RUNNING when another one does this on the data folder.
 * Rejects with a role's own error if that cannot even start; later a role that cannot go on stays down, is named, and makes the server unready.
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const dataFolder = join(resolve(options.directory), '.tidemark')
  const lock = tryProcessLock(join(dataFolder, 'run', 'start.lock'))
  if (lock === null) throw await alreadyRunning(dataFolder)
  writeFileSync(pidPath(dataFolder), String(process.pid))
  const tree = new ProcessTree(options)
  const presence = await holdPresence(dataFolder, 'start', () => ({ url: tree.url, roles: tree.states }))
  try {
    await tree.run()
  } finally {
    await presence.close()
    lock.release()
  }
}

const pidPath = (dataFolder: string): string => join(dataFolder, 'run', 'start.pid')

/** What is the case, and what to do: another start works, or has the data folder and does not answer. */
async function alreadyRunning(dataFolder: string): Promise<Error> {
  const other = (await livePresences(dataFolder)).find(({ name }) => name === 'start')
  if (other !== undefined)
    return failCli(
      'TM_ALREADY_RUNNING',
      `another \`tidemark start\` (process ${other.pid}${other.url === null ? '' : `, ${other.url}`}) serves ${dataFolder}: use it, stop it, or use another project folder`,
    )
  const pid = heldPid(dataFolder)
  return failCli(
    'TM_ALREADY_RUNNING',
    `${pid === null ? 'a process' : `process ${pid}`} of another \`tidemark start\` has ${dataFolder} and does not answer: it was stopped (Ctrl-Z?), hangs, or has only just begun. ${pid === null ? 'End it' : `\`kill ${pid}; kill -CONT ${pid}\` ends it, if not within 15 s then \`kill -9 ${pid}\``}; nothing is lost, start again then`,
  )
}

function heldPid(dataFolder: string): number | null {
  try {
    return Number(readFileSync(pidPath(dataFolder), 'utf8')) || null
  } catch {
    return null
  }
}

class ProcessTree {
  readonly #options: SupervisorOptions
  readonly #roles: readonly SupervisedRole[]
  readonly #failed: Promise<never>
  #fail: (error: Error) => void = () => {}
  #isReady = false
  readonly #said = new Set<string>()

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { directory, port, host, trustNetwork, log, stuckMs } = options
    this.#roles = ROLE_NAMES.map(
      (role) =>
        new SupervisedRole(role, {
          directory,
          listens: role === 'serve' ? { port, host, trustNetwork } : null,
          log,
          stuckMs,
          changed: () => this.#changed(),
        }),
    )
    this.#failed = new Promise<never>((_resolve, reject) => (this.#fail = reject))
  }

  get states(): RoleState[] {
    return this.#roles.map(({ state }) => state)
  }

  get url(): string | null {
    return this.#roles.find(({ role }) => role === 'serve')?.url ?? null
  }

  async run(): Promise<void> {
    const kill = (): void => this.#roles.forEach((role) => role.kill())
    process.once('exit', kill)
    for (const role of this.#roles) role.start()
    try {
      await Promise.race([aborted(this.#options.signal), this.#failed])
    } finally {
      await Promise.all(this.#roles.map((role) => role.stop(STOP_MS_MAX)))
      process.removeListener('exit', kill)
    }
  }

  #changed(): void {
    const states = this.states
    const failed = this.#roles.find(
      ({ hasRun, state }) => !hasRun && (state.state === 'stopped' || state.restarts >= STARTS_MAX),
    )
    const isAllDown = states.every(({ state }) => state === 'stopped')
    if (failed !== undefined || isAllDown) {
      this.#fail(carriedError((failed?.state ?? states[0]).error))
      return
    }
    this.#sayStopped(states)
    if (!this.#isReady && this.#roles.every(({ hasRun }) => hasRun)) {
      this.#isReady = true
      this.#options.ready?.(this.url ?? '')
    }
    const reasons = states
      .filter(({ state }) => state !== 'running')
      .map(({ role, state, error, waitsFor }) => {
        const cause = error?.code ?? waitsFor[0]?.code ?? 'no cause known'
        return `${role} is ${state}: ${cause}`
      })
    const waiting = states.flatMap(({ role, waitsFor }) => waitsFor.map((waited) => describeWaited(role, waited)))
    this.#roles.find(({ role }) => role === 'serve')?.order({ kind: 'unwell', reasons, waiting })
  }

  /** A role that stays down is named once; the others go on. */
  #sayStopped(states: readonly RoleState[]): void {
    for (const { role, state, error } of states) {
      if (state !== 'stopped' || this.#said.has(role)) continue
      this.#said.add(role)
      const text = `stays down, the others go on: ${error?.code ?? ''}: ${error?.message ?? ''}`
      this.#options.log('error', role, text, { code: error?.code })
    }
  }
}

function describeWaited(role: RoleName, { code, message, since }: WaitedFor): string {
  return `${role} waits since ${describeTime(since)}: ${code}: ${message}`
}

/** A role's error, thrown again in the process that supervises it. */
function carriedError(error: RoleState['error']): Error {
  const { code, message } = error ?? { code: 'TM_ROLE_DIED', message: 'a role ended without a word' }
  return new TidemarkError({ [code]: { disposition: 'halt', status: 500, meaning: message } }, code, message)
}
