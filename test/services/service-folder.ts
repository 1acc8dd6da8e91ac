import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atExit } from './at-exit.ts'

const PREFIX = 'tidemark-services-'

/**
 * A fresh folder for a server's data and log, removed when this process ends. What processes that were killed left behind is removed
 * at the first call.
 */
export function serviceFolder(name: string): string {
  sweep()
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-${name}-`))
  // A server that another user runs must get to its data below.
  chmodSync(folder, 0o711)
  atExit(() => removeServiceFolder(folder))
  return folder
}

export function removeServiceFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
}

let swept = false

function sweep(): void {
  if (swept) return
  swept = true
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(PREFIX))) {
    const pid = Number(name.slice(PREFIX.length).split('-')[0])
    if (!isAlive(pid)) removeServiceFolder(join(tmpdir(), name))
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
