import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { atExit } from './at-exit.ts'
import { killWithParent } from './kill-with-parent.ts'
import type { SystemUser } from './kill-with-parent.ts'

export interface ServerCommand {
  /** For people: `kafka 2`. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Who runs it, where root must not. */
  readonly user?: SystemUser
  /** What asks it to end; SIGTERM unless told. */
  readonly endSignal?: NodeJS.Signals
  /** Everything it prints, all starts one after the other. */
  readonly logFile: string
  /** Rejects as long as the server does not answer by its own protocol. */
  readonly ready: () => Promise<void>
  readonly readyMsMax?: number
}

const READY_MS_MAX = 60_000
const LOG_TAIL_LINES = 40

/**
 * A server of the tests as a process: killed, paused and started anew on the same port and data. It ends with the
 * process that started it, however that ends.
 */
export class ServerProcess {
  readonly name: string
  readonly #command: ServerCommand
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()

  constructor(command: ServerCommand) {
    this.name = command.name
    this.#command = command
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined || !this.running) throw new Error(`${this.name} does not run`)
    return pid
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** Starts it and waits until it answers. Fails with the tail of its log if it ends or does not get ready in time. */
  async start(): Promise<void> {
    this.launch()
    await this.ready()
  }

  /** Starts it without waiting: nodes of a cluster need each other to get ready. */
  launch(): void {
    if (this.running) throw new Error(`${this.name} runs already`)
    const { command, args, env, user, logFile } = this.#command
    const log = openSync(logFile, 'a')
    const child = spawn(...killWithParent(command, args, user), {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    })
    closeSync(log)
    // Neither the child nor its log keeps a test process from ending; then it is killed.
    child.unref()
    this.#child = child
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    atExit(() => child.kill('SIGKILL'))
  }

  async ready(): Promise<void> {
    const { ready, readyMsMax = READY_MS_MAX } = this.#command
    for (const end = performance.now() + readyMsMax; ;) {
      try {
        await ready()
        return
      } catch (error) {
        if (!this.running) throw this.#failure('ended before it was ready', error)
        if (performance.now() > end) throw this.#failure(`is not ready after ${readyMsMax} ms`, error)
      }
      await delay(20)
    }
  }

  /** kill -9, with its children; returns when all are gone. */
  async kill(): Promise<void> {
    if (!this.running) return
    const processes = processTree(this.pid)
    this.#child?.ref()
    signal(processes, 'SIGKILL')
    await this.#exited
    while (processes.some(isAlive)) await delay(5)
  }

  /** Asks it to end in good order and waits until it has. */
  async terminate(): Promise<void> {
    if (!this.running) return
    const processes = processTree(this.pid)
    this.#child?.ref()
    this.#child?.kill(this.#command.endSignal ?? 'SIGTERM')
    await this.#exited
    while (processes.some(isAlive)) await delay(5)
  }

  /** It and its children are stopped (SIGSTOP) when this returns: connections stay open and nothing answers. */
  async pause(): Promise<void> {
    const processes = processTree(this.pid)
    signal(processes, 'SIGSTOP')
    // The signal reaches threads one after the other: some may still answer a request.
    while (!processes.every(isStopped)) await delay(1)
  }

  resume(): void {
    signal(processTree(this.pid), 'SIGCONT')
  }

  /** kill -9 (if it runs) and a new start on the same port and data. */
  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  #failure(what: string, cause: unknown): Error {
    const { command, args, logFile } = this.#command
    const tail = existsSync(logFile) ? readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES) : []
    return new Error(`${this.name} ${what}: ${command} ${args.join(' ')}\n${tail.join('\n')}`, { cause })
  }
}

function signal(processes: readonly number[], name: NodeJS.Signals): void {
  for (const pid of processes) {
    try {
      process.kill(pid, name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** A process and all its descendants, as Linux lists them; elsewhere the process alone. */
function processTree(pid: number): number[] {
  let children: number[] = []
  try {
    children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
  } catch {
    // It ended, or there is no /proc.
  }
  return [pid, ...children.flatMap(processTree)]
}

function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) =>
      /\) [TtZX] /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')),
    )
  } catch {
    return !isAlive(pid)
  }
}

/** Zombies count as gone: whoever adopted them has to reap them. Linux only. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
