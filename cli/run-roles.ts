import { setTimeout as pause } from 'node:timers/promises'
import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { ArchiveRole } from '../streams/archive/archive.ts'
import { StreamRole } from '../streams/stream-role.ts'
import { createTopics } from '../streams/stream-context.ts'
import type { StreamContext } from '../streams/stream-context.ts'
import type { WorkerGroup } from '../streams/workers/worker-group.ts'
import type { DataGates } from './data-gates.ts'
import { isEngineAway } from './engine-waits.ts'
import type { EngineWaits } from './engine-waits.ts'
import { UntilChanged } from './until-changed.ts'

/** Between looks whether a worker elsewhere has come closer. */
const HELD_MS = 20
/** How often live events are archived: more often makes many small files. */
const ARCHIVE_EVERY_MS = 2000

/** The roles that move events; each may run in a process of its own. */
export type WorkRole = 'stream' | 'archive'

interface Worker {
  /** Returns how many events moved. */
  runOnce(): Promise<number>
  /** Writes what it holds. */
  settle?(): Promise<void>
  /** What stopped for good while the rest goes on, with the cause, by name. */
  readonly stopped?: ReadonlyMap<string, TidemarkError>
  /** What waits for a server that is away, with the cause, by name; the rest goes on. */
  readonly waiting?: ReadonlyMap<string, TidemarkError>
  /** Waits for another worker: what moved says nothing. */
  readonly isHeldBack?: boolean
}

function createWorker(context: StreamContext, role: WorkRole, group: WorkerGroup | null = null): Worker {
  return role === 'stream' ? new StreamRole(context, group) : new ArchiveRole(context, group)
}

/** The context of a role that works until it is told to stop. */
export type WorkContext = StreamContext & {
  readonly gates: DataGates
  readonly waits: EngineWaits
  readonly group: WorkerGroup
}

/**
 * Runs a role until aborted; the step under way is finished and flushed, so an abort loses nothing and leaves nothing to repeat. While an engine is away the step that needs it is tried again: what the role holds in memory it holds on to,
 * but for what the failed step may have left half done.
 */
export async function runWork(context: WorkContext, role: WorkRole, signal: AbortSignal): Promise<void> {
  const { gates, waits, group } = context
  await waits.through(role, signal, () => createTopics(context))
  let worker = createWorker(context, role, group)
  let generation: number | null = null
  const reported = new Set<string>()
  const warned = new Set<string>()
  const changed = new UntilChanged(context)
  const step = async (): Promise<number> => {
    const work = await gates.enterWork(signal)
    if (work === null) return 0
    try {
      await changed.mark()
      // History was changed: what the worker holds in memory is of the old one.
      if (generation !== null && work.generation !== generation) {
        worker = createWorker(context, role, group)
        reported.clear()
      }
      generation = work.generation
      return await worker.runOnce()
    } finally {
      work.release()
    }
  }
  while (!signal.aborted) {
    const moved = await waits.through(role, signal, step)
    for (const [name, { code, message }] of worker.stopped ?? []) {
      if (reported.has(name)) continue
      reported.add(name)
      console.error(`${code}: partition ${name} has stopped, others go on: ${message}`)
    }
    warnOfWaiting(worker.waiting, warned)
    if (role === 'archive') await pause(ARCHIVE_EVERY_MS, undefined, { signal }).catch(() => {})
    else if (moved !== 0) await new Promise((resolve) => setImmediate(resolve))
    else await changed.wait(signal)
  }
  changed.close()
  const last = await gates.enterWork()
  try {
    if (last?.generation === generation) await worker.settle?.()
  } catch (error) {
    // Whoever comes next repeats it.
    if (!isEngineAway(error)) throw error
  } finally {
    last?.release()
  }
}

/** Once per cause, until what waited goes on. */
function warnOfWaiting(waiting: ReadonlyMap<string, TidemarkError> = new Map(), warned: Set<string>): void {
  for (const name of warned) if (!waiting.has(name)) warned.delete(name)
  for (const [name, { code, message }] of waiting) {
    if (!warned.has(name)) console.error(`${code}: ${name} waits, all else goes on: ${message}`)
    warned.add(name)
  }
}

export interface DrainOptions {
  /** Default: all. */
  readonly roles?: readonly WorkRole[]
  readonly signal?: AbortSignal
  readonly onProgress?: (moved: number) => void
  /** Of the data folder, where other processes may work on it. */
  readonly gates?: DataGates
}

/** Runs roles until nothing moves: what was appended is applied, or archived. Returns how much moved. Throws the cause if a part stopped, or waits for a server that is away, when all others are through. */
export async function drain(context: StreamContext, options: DrainOptions = {}): Promise<number> {
  const { roles = ['stream', 'archive'], signal, onProgress } = options
  await createTopics(context)
  const workers = roles.map((role) => createWorker(context, role))
  for (let total = 0; ;) {
    let moved = 0
    const step = (await options.gates?.enterWork(signal)) ?? null
    try {
      for (const worker of workers) if (signal?.aborted !== true) moved += await worker.runOnce()
    } finally {
      step?.release()
    }
    if (moved === 0 && workers.some(({ isHeldBack }) => isHeldBack === true) && signal?.aborted !== true)
      await pause(HELD_MS, undefined, { signal }).catch(() => {})
    else if (moved === 0) {
      for (const { stopped, waiting } of workers)
        for (const cause of [...(stopped?.values() ?? []), ...(waiting?.values() ?? [])]) throw cause
      return total
    }
    total += moved
    onProgress?.(total)
  }
}
