import { setPriority } from 'node:os'
import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { storeFailure } from '../../stores/store-failure.ts'
import { compactUntil } from '../compaction.ts'
import { EngineWaits } from '../engine-waits.ts'
import { dataFolderOf, openProject } from '../open-project.ts'
import type { Project } from '../open-project.ts'
import { dropParkedUntil } from '../parked-views.ts'
import { holdPresence } from '../presence.ts'
import type { RoleState } from '../presence.ts'
import { runWork } from '../run-roles.ts'
import type { WorkRole } from '../run-roles.ts'
import { importUntil } from '../scheduled-imports.ts'
import { serve } from '../serve.ts'
import { listenAddress } from './listen-flags.ts'
import type { ListenFlags } from './listen-flags.ts'
import type { ListenAddress } from '../listen.ts'
import { aborted, stopSignal } from '../stop-signal.ts'
import type { LogLines } from '../terminal/log-lines.ts'
import { takeHang, watchForHangs } from './hang-watch.ts'
import { describeHang } from './describe-hang.ts'
import { joinWorkers } from './own-worker.ts'
import { joinRole } from './role-lease.ts'
import type { RoleName } from './role-messages.ts'
import { ALL_WELL, supervision } from './supervision.ts'
import type { Supervision } from './supervision.ts'

/** A command that works on its own holds the lock for a moment; who holds it longer is another role. */
const STANDBY_AFTER_MS = 2000

const ARCHIVE_NICENESS = 5

export interface RoleOptions extends ListenFlags {
  readonly directory: string
  readonly log: LogLines
  /** A process of the same role and data folder that has not renewed its lease for this long is ended. Default: 15 s. */
  readonly leaseMs?: number
  /** Of a worker's parts (see `WORKER_LEASE_MS`). */
  readonly workerLeaseMs?: number
}

/** Runs one role in this process until it is told to stop: alone, or under a `tidemark start`. */
export async function runRole(role: RoleName, options: RoleOptions): Promise<void> {
  const supervisor = supervision()
  if (supervisor === null) {
    await runUntil(role, options, stopSignal(), {
      ready: () => {},
      waits: () => {},
      unwell: () => ALL_WELL,
      alone: true,
    })
    return
  }
  try {
    await runUntil(role, options, supervisor.signal, { ...supervisor, alone: false })
    supervisor.end(0)
  } catch (error) {
    supervisor.failed(error)
    supervisor.end(1)
    if (!isTidemarkError(error) && storeFailure(error) === null) throw error
  }
}

interface Surroundings extends Pick<Supervision, 'ready' | 'waits' | 'unwell'> {
  /** Whether this process stands for itself. */
  readonly alone: boolean
}

async function runUntil(
  role: RoleName,
  options: RoleOptions,
  signal: AbortSignal,
  { ready, waits: tell, unwell, alone }: Surroundings,
): Promise<void> {
  const { directory, log } = options
  const waits = new EngineWaits({ role, log, changed: () => tell(waits.current) })
  let url: string | null = null
  const own = (): RoleState => ({
    role,
    state: 'running',
    pid: process.pid,
    restarts: 0,
    error: null,
    waitsFor: waits.current,
  })
  const dataFolder = dataFolderOf(directory)
  const presence = alone
    ? await holdPresence(dataFolder, `${role}-${process.pid}`, () => ({ url, roles: [own()] }))
    : null
  const isReady = (at: string | null): void => {
    url = at
    if (alone) log('info', role, at === null ? 'runs (Ctrl-C stops)' : `runs on ${at} (Ctrl-C stops)`, { url: at })
    ready(at)
  }
  const hangs = watchForHangs(dataFolder)
  let project: Project | null = null
  try {
    project = await waits.through('opening', signal, () => openProject(directory))
    if (project === null) return
    if (role === 'serve') await serveUntil(project, listenAddress(project, options), signal, isReady, unwell)
    else await workUntil({ ...project, waits }, role, signal, { ...options, ready: isReady })
  } finally {
    await hangs.close()
    await presence?.close()
    await project?.close()
  }
}

async function serveUntil(
  project: Project,
  at: ListenAddress,
  signal: AbortSignal,
  ready: (url: string) => void,
  unwell: Supervision['unwell'],
): Promise<void> {
  const server = await serve(project, at, unwell)
  ready(server.url)
  await aborted(signal)
  await server.stop()
}

/** Processes of a role share its work; one waits only while a command does that work alone. */
async function workUntil(
  project: Project & { readonly waits: EngineWaits },
  role: WorkRole,
  signal: AbortSignal,
  { ready, log, leaseMs, workerLeaseMs }: RoleOptions & { readonly ready: (url: null) => void },
): Promise<void> {
  const standby = setTimeout(() => {
    log('info', role, 'a command does this on the data folder now: standing by')
    ready(null)
  }, STANDBY_AFTER_MS)
  const killed = (pid: number): void =>
    log(
      'warn',
      role,
      `TM_ROLE_STUCK: process ${pid} did this too and hung: it was ended (nothing is lost), others go on; ${describeHang(takeHang(project.dataFolder, pid))}`,
      { code: 'TM_ROLE_STUCK' },
    )
  const share = await joinRole(project.dataFolder, role, signal, { leaseMs, killed })
  clearTimeout(standby)
  if (share === null) return
  const group = joinWorkers(project, role, workerLeaseMs)
  try {
    if (role === 'archive') yieldToOthers()
    ready(null)
    const place = { ...project, group, signal }
    const beside =
      role === 'archive'
        ? [compactUntil(project, project.dataFolder, place), importUntil(project, place, log)]
        : [dropParkedUntil(project, place, log)]
    await Promise.all([runWork(place, role, signal), ...beside])
  } finally {
    await group.close()
    share.release()
  }
}

/** What is served comes first: the archive takes the processor time that streams and requests leave. */
function yieldToOthers(): void {
  try {
    setPriority(ARCHIVE_NICENESS)
  } catch {
    // Not allowed here: then it shares.
  }
}
