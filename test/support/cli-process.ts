import assert from 'node:assert/strict'
import { execFile, fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'

export interface Run {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const NODE_FLAGS = ['--disable-warning=ExperimentalWarning', 'cli/main.ts']

/** Commands that go on until they are told to stop: each in a process of its own. */
const LASTING: readonly string[] = ['start', 'stream', 'archive', 'serve']
let worker: ChildProcess | null = null
let isWorking = false

/**
 * Runs a command of this checkout on a project to its end: in a process that runs one command after another, as most of a command's time is the start of
 * its process; in one of its own where that is at work.
 */
export async function tidemark(project: string, ...args: string[]): Promise<Run> {
  if (isWorking || args.some((arg) => LASTING.includes(arg))) return tidemarkAlone(project, ...args)
  isWorking = true
  try {
    return await inWorker(['--project', project, ...args])
  } finally {
    isWorking = false
  }
}

async function inWorker(args: readonly string[]): Promise<Run> {
  worker ??= fork('test/support/command-worker.ts', {
    execArgv: NODE_FLAGS.slice(0, 1),
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const { channel } = worker
  const working = worker
  const ended = new AbortController()
  worker.ref()
  channel?.ref()
  try {
    working.send(args)
    const [answer] = (await Promise.race([
      once(working, 'message', { signal: ended.signal }),
      once(working, 'exit', { signal: ended.signal }).then(([code]) =>
        assert.fail(`the process of the commands ended with ${code}: ${args.join(' ')}`),
      ),
    ])) as [Run]
    return answer
  } finally {
    ended.abort()
    // An idle one keeps no test from ending, and ends with it.
    working.unref()
    channel?.unref()
  }
}

/** As `tidemark`, in a process of its own. */
export function tidemarkAlone(project: string, ...args: string[]): Promise<Run> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...NODE_FLAGS, '--project', project, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

/** The document that a command gives with --json; fails unless it exits 0. */
export async function tidemarkJson<T>(project: string, ...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await tidemark(project, '--json', ...args)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as T
}

/** A long-running command, killed after the test. */
export class CliProcess {
  readonly child: ChildProcess
  /** Everything it has printed. */
  output = ''
  readonly exited: Promise<number | null>
  readonly #waiting: (() => void)[] = []

  constructor(context: TestContext, project: string, ...args: string[]) {
    this.child = spawn(process.execPath, [...NODE_FLAGS, '--project', project, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.exited = new Promise((resolve) => this.child.once('close', resolve))
    void this.exited.then(() => this.#wake())
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString()
        this.#wake()
      })
    context.after(() => this.child.kill('SIGKILL'))
  }

  /** Waits for a line that matches; fails if the process ends without one. */
  async line(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.output)
      if (match !== null) return match
      assert.ok(
        this.child.exitCode === null && this.child.signalCode === null,
        `the process ended without ${pattern}:\n${this.output}`,
      )
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
