import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { tryProcessLock } from '../../stores/process-lock.ts'
import type { ProcessLock } from '../../stores/process-lock.ts'
import type { WorkRole } from '../run-roles.ts'
import { roleLockPath } from './role-lock.ts'

/** An owner that has not renewed its lease for this long hangs. */
export const LEASE_MS = 15_000
const RENEWALS = 10
const POLL_MS = 20
/** What one poll counts at most: a machine that slept is no reason. */
const COUNTED_MS_MAX = 250

/** The process that a lease names. A pid alone may be another process's by now. */
interface LeaseOwner {
  readonly pid: number
  /** null: not known; then nobody ends it. */
  readonly startedAt: string | null
}

const leasePath = (dataFolder: string, role: WorkRole): string => join(dataFolder, 'run', `${role}.lease`)

/** The right to do a role's work, renewed as long as this process's event loop turns; null while another process has it. */
export function tryRoleLease(dataFolder: string, role: WorkRole, leaseMs: number = LEASE_MS): ProcessLock | null {
  const lock = tryProcessLock(roleLockPath(dataFolder, role))
  if (lock === null) return null
  const path = leasePath(dataFolder, role)
  const owner: LeaseOwner = { pid: process.pid, startedAt: ownStart() }
  writeFileSync(path, JSON.stringify(owner))
  const timer = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date())
    } catch {
      // The folder is gone: so is what the lease is for.
    }
  }, leaseMs / RENEWALS).unref()
  return {
    release: () => {
      clearInterval(timer)
      rmSync(path, { force: true })
      lock.release()
    },
  }
}

/**
 * Waits for another owner, and ends one that hangs: a process that was stopped, or whose event loop does not turn, may hold locks of the stores for ever, so that nobody could
 * write beside it; killed, it holds nothing, and nothing is lost.
 */
export class LeaseWatch {
  readonly #path: string
  readonly #leaseMs: number
  readonly #killed: (pid: number) => void
  #renewedAt = -1
  #silentMs = 0
  #polledAt = 0

  /** `killed`: told the owner's pid. */
  constructor(
    dataFolder: string,
    role: WorkRole,
    { leaseMs = LEASE_MS, killed }: { readonly leaseMs?: number; readonly killed: (pid: number) => void },
  ) {
    this.#path = leasePath(dataFolder, role)
    this.#leaseMs = leaseMs
    this.#killed = killed
  }

  /** To be called again and again while another owner holds the lease. */
  poll(): void {
    const renewedAt = statSync(this.#path, { throwIfNoEntry: false })?.mtimeMs ?? 0
    const now = performance.now()
    if (renewedAt === this.#renewedAt) this.#silentMs += Math.min(now - this.#polledAt, COUNTED_MS_MAX)
    else this.#silentMs = 0
    this.#renewedAt = renewedAt
    this.#polledAt = now
    if (this.#silentMs < this.#leaseMs) return
    this.#silentMs = 0
    const owner = readOwner(this.#path)
    if (owner !== null && owner.pid !== process.pid && kill(owner.pid)) this.#killed(owner.pid)
  }
}

/** Waits for the lease; null if aborted first. `killed`: see `LeaseWatch`. */
export async function waitForRoleLease(
  dataFolder: string,
  role: WorkRole,
  signal: AbortSignal,
  options: { readonly leaseMs?: number; readonly killed: (pid: number) => void },
): Promise<ProcessLock | null> {
  const watch = new LeaseWatch(dataFolder, role, options)
  while (!signal.aborted) {
    const lease = tryRoleLease(dataFolder, role, options.leaseMs)
    if (lease !== null) return lease
    watch.poll()
    await pause(POLL_MS, undefined, { signal }).catch(() => {})
  }
  return null
}

/** Who does a role's work, as `status` shows it. */
export interface RoleOwner {
  readonly role: WorkRole
  readonly pid: number
  /** Since its event loop was last seen to turn. */
  readonly silentMs: number
  readonly hangs: boolean
}

/** null: nobody does it. */
export function roleOwner(dataFolder: string, role: WorkRole, leaseMs: number = LEASE_MS): RoleOwner | null {
  const path = leasePath(dataFolder, role)
  const owner = readOwner(path)
  const renewed = statSync(path, { throwIfNoEntry: false })
  if (owner === null || renewed === undefined) return null
  const silentMs = Math.max(0, Math.floor(Date.now() - renewed.mtimeMs))
  return { role, pid: owner.pid, silentMs, hangs: silentMs >= leaseMs }
}

/** null where the process that the lease names is gone. */
function readOwner(path: string): LeaseOwner | null {
  try {
    const owner = JSON.parse(readFileSync(path, 'utf8')) as LeaseOwner
    return startOf(owner.pid) === owner.startedAt ? owner : null
  } catch {
    return null
  }
}

/** False where this process may not. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

function ownStart(): string | null {
  try {
    return startOf(process.pid)
  } catch {
    return null
  }
}

/** When a process began, as its system says it: with the pid, what no other process has. Throws where there is none. */
function startOf(pid: number): string {
  if (process.platform !== 'linux')
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  // After the name, which may hold anything: state, then 18 numbers, then the start in clock ticks since boot.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
}
