import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { WorkerGroup } from '../../streams/workers/worker-group.ts'
import type { AboutWorker } from '../../streams/workers/worker-group.ts'
import type { Project } from '../open-project.ts'
import type { WorkRole } from '../run-roles.ts'
import { ownStart, startOf } from './process-start.ts'

/** This process among the workers of a role. `leaseMs`: see `WORKER_LEASE_MS`. */
export function joinWorkers({ metadata }: Pick<Project, 'metadata'>, kind: WorkRole, leaseMs?: number): WorkerGroup {
  const about: AboutWorker = { host: hostName(), pid: process.pid, process: ownStart(), since: Date.now() }
  const id = `${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`
  const group = new WorkerGroup({
    leases: metadata.leases,
    kind,
    id,
    about,
    leaseMs,
    isGone: (other) => isGone(other, about.host),
  })
  group.start()
  return group
}

/** Of a process of this host, whether it has ended: its system knows, where others would wait for its lease. */
export function isGone({ host, pid, process: started }: AboutWorker, here: string = hostName()): boolean {
  if (host !== here || started === null) return false
  try {
    return startOf(pid) !== started
  } catch {
    return true
  }
}

/** What says of two processes that they know each other by pid: containers have a name or a space of pids of their own, and machines may share a name. */
function hostName(): string {
  return [hostname(), ...[boot, pidSpace].map(orNothing)].join(' ')
}

const boot = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
const pidSpace = (): string => readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')

/** Elsewhere than on Linux the name alone has to do. */
function orNothing(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
