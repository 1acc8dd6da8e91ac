import { setTimeout as pause } from 'node:timers/promises'
import type { DataGates } from './data-gates.ts'

/** Repeats a step of work beside a role until aborted, with a pause after each; none begins while a command changes history. */
export async function repeatWork(
  gates: DataGates,
  signal: AbortSignal,
  everyMs: number,
  run: () => Promise<unknown>,
): Promise<void> {
  for (;;) {
    const step = await gates.enterWork(signal)
    if (step === null) return
    await run().finally(() => step.release())
    await pause(everyMs, undefined, { signal }).catch(() => {})
  }
}
