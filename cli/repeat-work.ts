import { setTimeout as pause } from 'node:timers/promises'
import type { DataGates } from './data-gates.ts'
import type { EngineWaits } from './engine-waits.ts'

/** What work beside a role needs. */
export interface WorkPlace {
  readonly gates: DataGates
  readonly waits: EngineWaits
  readonly signal: AbortSignal
}

/** Repeats a step of work, named, beside a role until aborted, with a pause after each; none begins while a command changes history. */
export async function repeatWork(
  { gates, waits, signal }: WorkPlace,
  name: string,
  everyMs: number,
  run: () => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    await waits.through(name, signal, async () => {
      const step = await gates.enterWork(signal)
      if (step !== null) await run().finally(() => step.release())
    })
    await pause(everyMs, undefined, { signal }).catch(() => {})
  }
}
