import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export function ownStart(): string | null {
  try {
    return startOf(process.pid)
  } catch {
    return null
  }
}

/** When a process began, as its system says it: with the pid, what no other process of the machine has. Throws where there is none. */
export function startOf(pid: number): string {
  if (process.platform !== 'linux')
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  // After the name, which may hold anything: state, then 18 numbers, then the start in clock ticks since boot.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}
