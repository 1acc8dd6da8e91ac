import { execFile, spawn } from 'node:child_process'
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** The last line that a program prints, as JSON. */
export async function runForJson<T>(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<T> {
  const { stdout } = await execute(command, args, {
    ...options,
    env: { ...process.env, ...options.env },
    maxBuffer: 64 << 20,
  })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as T
}

export interface Running {
  readonly stop: () => Promise<void>
}

/** Starts a server; `stop` ends it and waits. */
export function start(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): Running & { child: ChildProcess } {
  const child = spawn(command, args, options)
  const exited = new Promise<void>((resolve, reject) => {
    child.once('exit', () => resolve())
    child.once('error', reject)
  })
  return {
    child,
    stop: async () => {
      child.kill('SIGTERM')
      await exited
    },
  }
}

export async function waitForAnswer(url: string, timeoutMs: number): Promise<void> {
  for (const end = performance.now() + timeoutMs; ;) {
    try {
      if ((await fetch(url)).ok) return
    } catch (error) {
      if (performance.now() > end) throw error
    }
    if (performance.now() > end) throw new Error(`${url} does not answer after ${timeoutMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
