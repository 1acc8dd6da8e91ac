import { globSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { tryProcessLock } from '../../stores/process-lock.ts'
import type { ProcessLock } from '../../stores/process-lock.ts'
import { SharedLockFile } from '../../stores/shared-lock.ts'
import type { WorkRole } from '../run-roles.ts'
import { ownStart, startOf } from './process-start.ts'
import { roleLockPath } from './role-lock.ts'

/** An owner that has not renewed its lease for this long hangs. */
export const LEASE_MS = 15_000
const RENEWALS = 10
const POLL_MS = 20
const WATCH_EVERY_MS = 250
/** What one poll counts at most: a machine that slept is no reason. */
const COUNTED_MS_MAX = 500

/** The process that a lease names. A pid alone may be another process's by now. */
interface LeaseOwner {
  readonly pid: number
  /** null: not known; then nobody ends it. */
  readonly startedAt: string | null
}

const leasePath = (dataFolder: string, role: WorkRole, pid: number): string =>
  join(dataFolder, 'run', `${role}.${pid}.lease`)

function leasePaths(dataFolder: string, role: WorkRole): string[] {
  const folder = join(dataFolder, 'run')
  return globSync(`${role}.*.lease`, { cwd: folder })
    .sort()
    .map((name) => join(folder, name))
}

/** The right to do a role's work alone, renewed as long as this process's event loop turns; null while others do it. */
export function tryRoleLease(dataFolder: string, role: WorkRole, leaseMs: number = LEASE_MS): ProcessLock | null {
  const lock = tryProcessLock(roleLockPath(dataFolder, role))
  return lock === null ? null : renewed(dataFolder, role, lock, leaseMs)
}

function renewed(dataFolder: string, role: WorkRole, lock: ProcessLock, leaseMs: number): ProcessLock {
  const path = leasePath(dataFolder, role, process.pid)
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

export interface LeaseWatchOptions {
  readonly leaseMs?: number
  /** Told the pid of an owner that was ended. */
  readonly killed: (pid: number) => void
}

/**
 * Watches the other owners on this machine, and ends one that hangs: a process that was stopped, or whose event loop does not turn, may hold locks of the stores for ever, so that nobody could
 * write beside it; killed, it holds nothing, and nothing is lost.
 */
export class LeaseWatch {
  readonly #dataFolder: string
  readonly #role: WorkRole
  readonly #leaseMs: number
  readonly #killed: (pid: number) => void
  readonly #silent = new Map<string, { renewedAt: number; ms: number }>()
  #polledAt = 0

  constructor(dataFolder: string, role: WorkRole, { leaseMs = LEASE_MS, killed }: LeaseWatchOptions) {
    this.#dataFolder = dataFolder
    this.#role = role
    this.#leaseMs = leaseMs
    this.#killed = killed
  }

  /** To be called again and again. */
  poll(): void {
    const now = performance.now()
    const passed = Math.min(now - this.#polledAt, COUNTED_MS_MAX)
    this.#polledAt = now
    for (const path of leasePaths(this.#dataFolder, this.#role)) {
      const renewedAt = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
      const seen = this.#silent.get(path)
      const ms = seen?.renewedAt === renewedAt ? seen.ms + passed : 0
      this.#silent.set(path, { renewedAt, ms })
      if (ms < this.#leaseMs) continue
      this.#silent.delete(path)
      const owner = readOwner(path)
      // Of a process that is gone nothing but the file is left.
      if (owner === null) rmSync(path, { force: true })
      else if (owner.pid !== process.pid && kill(owner.pid)) this.#killed(owner.pid)
    }
  }
}

/** Joins those who do a role's work, once nobody does it alone; null if aborted first. Watches the others from then on. */
export async function joinRole(
  dataFolder: string,
  role: WorkRole,
  signal: AbortSignal,
  options: LeaseWatchOptions,
): Promise<ProcessLock | null> {
  const watch = new LeaseWatch(dataFolder, role, options)
  const file = new SharedLockFile(roleLockPath(dataFolder, role))
  while (!signal.aborted) {
    const share = file.tryShared()
    if (share !== null) {
      const lease = renewed(dataFolder, role, share, options.leaseMs ?? LEASE_MS)
      const timer = setInterval(() => watch.poll(), WATCH_EVERY_MS).unref()
      return {
        release: () => {
          clearInterval(timer)
          lease.release()
        },
      }
    }
    watch.poll()
    await pause(POLL_MS, undefined, { signal }).catch(() => {})
  }
  return null
}

/** Who does a role's work on this machine, as `status` shows it. */
export interface RoleOwner {
  readonly role: WorkRole
  readonly pid: number
  /** Since its event loop was last seen to turn. */
  readonly silentMs: number
  readonly hangs: boolean
}

export function roleOwners(dataFolder: string, role: WorkRole, leaseMs: number = LEASE_MS): RoleOwner[] {
  return leasePaths(dataFolder, role).flatMap((path) => {
    const owner = readOwner(path)
    const renewal = statSync(path, { throwIfNoEntry: false })
    if (owner === null || renewal === undefined) return []
    const silentMs = Math.max(0, Math.floor(Date.now() - renewal.mtimeMs))
    return [{ role, pid: owner.pid, silentMs, hangs: silentMs >= leaseMs }]
  })
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
