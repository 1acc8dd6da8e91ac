import { setTimeout as pause } from 'node:timers/promises'
import { ApplyRole } from '../streams/apply-role.ts'
import { ArchiveRole } from '../streams/archive.ts'
import { IngestRole } from '../streams/ingest.ts'
import { createTopics } from '../streams/stream-context.ts'
import type { StreamContext } from '../streams/stream-context.ts'

const IDLE_MS = 5
/** How often live events are archived: more often makes many small files. */
const ARCHIVE_EVERY_MS = 2000

/** The roles that move events; each may run in a process of its own. */
export type WorkRole = 'stream' | 'archive'

interface Worker {
  /** Returns how many events moved. */
  runOnce(): Promise<number>
}

function createWorkers(context: StreamContext, role: WorkRole): Worker[] {
  return role === 'stream' ? [new IngestRole(context), new ApplyRole(context)] : [new ArchiveRole(context)]
}

/** Runs a role until aborted; each step finishes its flush before the next, so an abort loses nothing. */
export async function runWork(context: StreamContext, role: WorkRole, signal: AbortSignal): Promise<void> {
  await createTopics(context)
  const workers = createWorkers(context, role)
  while (!signal.aborted) {
    let moved = 0
    for (const worker of workers) if (!signal.aborted) moved += await worker.runOnce()
    if (role === 'archive') await pause(ARCHIVE_EVERY_MS, undefined, { signal }).catch(() => {})
    else await new Promise((resolve) => (moved > 0 ? setImmediate(resolve) : setTimeout(resolve, IDLE_MS)))
  }
}

export interface DrainOptions {
  /** Default: all. */
  readonly roles?: readonly WorkRole[]
  readonly signal?: AbortSignal
  readonly onProgress?: (moved: number) => void
}

/** Runs roles until nothing moves: what was appended is applied, or archived. Returns how much moved. */
export async function drain(context: StreamContext, options: DrainOptions = {}): Promise<number> {
  const { roles = ['stream', 'archive'], signal, onProgress } = options
  await createTopics(context)
  const workers = roles.flatMap((role) => createWorkers(context, role))
  for (let total = 0; ;) {
    let moved = 0
    for (const worker of workers) if (signal?.aborted !== true) moved += await worker.runOnce()
    if (moved === 0) return total
    total += moved
    onProgress?.(total)
  }
}
