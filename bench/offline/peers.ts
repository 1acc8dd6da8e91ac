import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './archive-project.ts'

/** Exact versions, so that a figure can be repeated. */
const PACKAGES = ['polars==2.1.0', 'duckdb==2.0.0']

export interface PeerRun {
  readonly seconds: number
  readonly peakMb: number
}

/** The Python of a virtual environment with the peers, made on first use. */
export function peerPython(): string {
  const folder = cacheFolder('venv')
  const python = join(folder, 'bin', 'python')
  const stamp = join(folder, 'packages.txt')
  if (!existsSync(stamp)) {
    execFileSync('python3', ['-m', 'venv', folder], { stdio: ['ignore', 'ignore', 'inherit'] })
    execFileSync(python, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], { stdio: ['ignore', 'ignore', 'inherit'] })
    writeFileSync(stamp, `${PACKAGES.join('\n')}\n`)
  }
  return python
}

/** Runs a peer in a process of its own; the last line that it prints is `{seconds, peakMb}`. Imports do not count. */
export function runPeer(script: string, ...args: readonly string[]): PeerRun {
  const printed = execFileSync(peerPython(), [join(import.meta.dirname, script), ...args], { encoding: 'utf8' })
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as PeerRun
}
