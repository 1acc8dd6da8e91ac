import { setTimeout as pause } from 'node:timers/promises'

/** Asks until the answer is yes; an error counts as no, and is the cause if it stays so for `timeoutMs`. */
export async function until(ask: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs
  for (let cause: unknown; ;) {
    try {
      if (await ask()) return
    } catch (error) {
      cause = error
    }
    if (performance.now() > end) throw new Error(`still not so after ${timeoutMs} ms: ${String(ask)}`, { cause })
    await pause(20)
  }
}
