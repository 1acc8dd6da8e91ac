import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { projectClock } from '../../cli/project-clock.ts'
import { commandLine } from './run-command.ts'

const STEP_MS = 250

/** Gives each flight to `tidemark produce flights -` when the simulated clock reaches its landing, until aborted. */
export async function streamLive(project: string, file: string, signal: AbortSignal): Promise<void> {
  const now = await projectClock(project)
  const child = spawn(process.execPath, commandLine(project, ['--json', 'produce', 'flights', '-']), {
    stdio: ['pipe', 'ignore', 'inherit'],
    // Ctrl-C is for this process: the command ends when its input does.
    detached: true,
  })
  child.stdin.on('error', () => {})
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    const { landed_at: landedAt } = JSON.parse(line) as { landed_at: number }
    while (landedAt > now() && !signal.aborted && child.exitCode === null)
      await pause(STEP_MS, undefined, { signal }).catch(() => {})
    if (signal.aborted || child.exitCode !== null) break
    if (!child.stdin.write(`${line}\n`)) await once(child.stdin, 'drain', { signal }).catch(() => {})
  }
  child.stdin.end()
}
