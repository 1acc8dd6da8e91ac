import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

/** Fails if a paused server answers within a time in which a running one would have. */
export async function staysSilent(answer: Promise<unknown>, timeMs = 150): Promise<void> {
  const silence = Symbol('silence')
  assert.equal(await Promise.race([answer, pause(timeMs, silence)]), silence, 'a paused server answered')
}
