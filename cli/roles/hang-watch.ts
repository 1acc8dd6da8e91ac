import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { runningFunction } from '../../features/kernel/running-function.ts'

const BEAT_MS = 1000
/** Long before anybody ends a process for it. */
const HANGS_AFTER_MS = 4000

/** What the thread gets. */
export interface HangWatch {
  /** Counted up by the thread that is watched as long as its event loop turns. */
  readonly beats: Int32Array<SharedArrayBuffer>
  readonly running: Uint8Array<SharedArrayBuffer>
  readonly path: string
  readonly beatMs: number
  readonly hangsAfterMs: number
}

const hangPath = (dataFolder: string, pid: number): string => join(dataFolder, 'run', `${pid}.hangs`)

/**
 * Has a thread look whether this process's event loop turns. Where it does not, the thread writes down which user function runs: whoever ends the process for it can name that
 * function, which the process itself no longer can.
 */
export function watchForHangs(dataFolder: string): { close(): Promise<void> } {
  const beats = new Int32Array(new SharedArrayBuffer(4))
  const path = hangPath(dataFolder, process.pid)
  const timer = setInterval(() => Atomics.add(beats, 0, 1), BEAT_MS).unref()
  // Compiled code stands beside this file with the extension that this one has.
  const entry = new URL(
    import.meta.url.endsWith('.ts') ? './hang-watch-thread.ts' : './hang-watch-thread.js',
    import.meta.url,
  )
  const workerData: HangWatch = {
    beats,
    running: runningFunction,
    path,
    beatMs: BEAT_MS,
    hangsAfterMs: HANGS_AFTER_MS,
  }
  const thread = new Worker(entry, { workerData, resourceLimits: { maxOldGenerationSizeMb: 16 } })
  thread.unref()
  // Without it a hang is only not named.
  thread.on('error', () => {})
  return {
    close: async () => {
      clearInterval(timer)
      await thread.terminate()
      rmSync(path, { force: true })
    },
  }
}

/** The user function that a process hung in, in words; null: it was in none, or nobody knows. Forgotten once told. */
export function takeHang(dataFolder: string, pid: number | undefined): string | null {
  if (pid === undefined) return null
  try {
    const text = readFileSync(hangPath(dataFolder, pid), 'utf8')
    rmSync(hangPath(dataFolder, pid), { force: true })
    return text === '' ? null : text
  } catch {
    return null
  }
}
