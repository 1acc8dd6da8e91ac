import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import { storeFailure } from '../../stores/store-failure.ts'
import { ALIVE_EVERY_MS } from './role-messages.ts'
import type { RoleOrder, RoleReport } from './role-messages.ts'
import type { WaitedFor } from '../engine-waits.ts'

/** Set for the processes that a supervisor starts. */
export const SUPERVISED = 'TIDEMARK_SUPERVISED'
/** A role that cannot stop cleanly in this time, with its supervisor gone, ends anyway. */
const ORPHAN_MS_MAX = 5000

export interface Unwell {
  readonly reasons: readonly string[]
  readonly waiting: readonly string[]
}

export const ALL_WELL: Unwell = { reasons: [], waiting: [] }

/** The supervisor, seen from the process of a role. */
export interface Supervision {
  /** Aborted when the supervisor says stop, or is gone. */
  readonly signal: AbortSignal
  readonly ready: (url: string | null) => void
  readonly failed: (error: unknown) => void
  readonly waits: (waitsFor: readonly WaitedFor[]) => void
  /** What does not work of the other roles, and what of them waits for an engine. */
  readonly unwell: () => Unwell
  /** Ends the process once what was reported has been sent. */
  readonly end: (code: number) => void
}

/** The supervisor of this process, or null: it was started by hand. */
export function supervision(): Supervision | null {
  if (process.env[SUPERVISED] !== '1' || process.send === undefined) return null
  const controller = new AbortController()
  let unwell = ALL_WELL
  const send = (report: RoleReport): void => {
    if (process.connected) process.send?.(report)
  }
  setInterval(() => send({ kind: 'alive' }), ALIVE_EVERY_MS).unref()
  process.on('message', (order: RoleOrder) => {
    if (order.kind === 'stop') controller.abort()
    else unwell = order
  })
  process.on('disconnect', () => {
    controller.abort()
    setTimeout(() => process.exit(1), ORPHAN_MS_MAX).unref()
  })
  // Ctrl-C reaches the whole group of processes: the supervisor decides what it means.
  process.on('SIGINT', () => {})
  process.on('SIGHUP', () => {})
  process.on('SIGTERM', () => controller.abort())
  return {
    signal: controller.signal,
    ready: (url) => send({ kind: 'ready', url }),
    failed: (error) => send(describeFailure(error)),
    waits: (waitsFor) => send({ kind: 'waits', waitsFor }),
    unwell: () => unwell,
    end: (code) => {
      process.exitCode = code
      if (process.connected) process.disconnect()
    },
  }
}

function describeFailure(error: unknown): RoleReport {
  const known = isTidemarkError(error) ? error : storeFailure(error)
  if (known === null) {
    const message = error instanceof Error ? error.message : String(error)
    return { kind: 'failed', code: 'TM_INTERNAL', message, again: true }
  }
  const { code, message, disposition } = known
  // Fenced: another worker took over and may be gone soon.
  const again = disposition === 'retry' || code === 'TM_STREAM_FENCED'
  return { kind: 'failed', code, message, again }
}
