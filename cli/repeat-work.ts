import { setTimeout as pause } from 'node:timers/promises'
import type { DataGates } from './data-gates.ts'
import type { EngineWaits } from './engine-waits.ts'
import type { Part } from '../streams/workers/assign-parts.ts'
import type { Ownership } from '../streams/workers/ownership.ts'

/** Between looks whether the part is this worker's now. */
const OWNED_MS = 500

/** What work beside a role needs. */
export interface WorkPlace {
  readonly gates: DataGates
  readonly waits: EngineWaits
  readonly signal: AbortSignal
  readonly group: Ownership
}

/** Repeats a step of work beside a role until aborted, with a pause after each, while its part is this worker's; none begins while a command changes history. */
export async function repeatWork(
  { gates, waits, signal, group }: WorkPlace,
  part: Part,
  everyMs: number,
  run: () => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    if (!group.owns(part)) {
      await pause(Math.min(everyMs, OWNED_MS), undefined, { signal }).catch(() => {})
      continue
    }
    await waits.through(part, signal, async () => {
      const step = await gates.enterWork(signal)
      if (step !== null) await run().finally(() => step.release())
    })
    await pause(everyMs, undefined, { signal }).catch(() => {})
  }
}
