import { setTimeout as pause } from 'node:timers/promises'
import type { ProcessLock } from '../stores/process-lock.ts'
import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import { waitUntilCaughtUp } from '../streams/wait.ts'
import { compactOnce } from './compaction.ts'
import type { Project } from './open-project.ts'
import { isRoleRunning } from './presence.ts'
import { isGone } from './roles/own-worker.ts'
import { LeaseWatch, tryRoleLease } from './roles/role-lease.ts'
import { drain } from './run-roles.ts'
import type { WorkRole } from './run-roles.ts'
import { livingWorkers } from '../streams/workers/worker-group.ts'

const POLL_MS = 20
/** So long others have to apply what was appended: as long as a worker's lease, and a while. */
const APPLIED_MS_MAX = 20_000

export interface SettleOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (moved: number) => void
}

/**
 * Leaves the streaming and archiving to the processes that do it; what none does, this one does before it returns: everything appended so far is
 * then applied and archived.
 */
export async function settle(project: Project, options: SettleOptions = {}): Promise<void> {
  const held: { role: WorkRole; lock: ProcessLock }[] = []
  try {
    for (const role of ['stream', 'archive'] as const) {
      const lock = await takeOver(project, role, options.signal)
      if (lock !== null) held.push({ role, lock })
    }
    // What workers elsewhere ingest meanwhile has to be archived too, and nobody else does that.
    if (held.length === 1 && held[0].role === 'archive') await untilApplied(project, options.signal)
    if (held.length > 0) await drain(project, { ...options, gates: project.gates, roles: held.map(({ role }) => role) })
    if (held.some(({ role }) => role === 'archive')) await compactOnce(project, project.dataFolder, options.signal)
  } finally {
    for (const { lock } of held) lock.release()
  }
}

async function untilApplied(project: Project, signal?: AbortSignal): Promise<void> {
  try {
    await waitUntilCaughtUp(project, { timeoutMs: APPLIED_MS_MAX, applied: true, signal })
  } catch (error) {
    if (!isTidemarkError(error) || error.code !== 'TM_WAIT_TIMEOUT') throw error
  }
}

/** Does a part of a role's work, unless a running role does it anyway. */
export async function doing(project: Project, role: WorkRole, work: () => Promise<void>): Promise<void> {
  const lock = await takeOver(project, role)
  if (lock === null) return
  try {
    await work()
  } finally {
    lock.release()
  }
}

/** The right to do a role's work, once another command that does it has finished; null: a running role does it. */
async function takeOver(
  { dataFolder, metadata }: Project,
  role: WorkRole,
  signal?: AbortSignal,
): Promise<ProcessLock | null> {
  const watch = new LeaseWatch(dataFolder, role, {
    killed: (pid) => process.stderr.write(`TM_ROLE_STUCK: process ${pid} hung and was ended (nothing is lost)\n`),
  })
  while (signal?.aborted !== true) {
    if (await isRoleRunning(dataFolder, role)) return null
    // On another machine.
    if ((await livingWorkers(metadata.leases, role)).some((worker) => !isGone(worker))) return null
    const lock = tryRoleLease(dataFolder, role)
    if (lock !== null) return lock
    watch.poll()
    await pause(POLL_MS)
  }
  return null
}
