import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A clock for recorded data: simulated time `from` at the first start of the data folder, then `rate` times as fast as real time. */
export function openClock(
  dataFolder: string,
  clock: { readonly from: string; readonly rate: number } | undefined,
): () => number {
  if (clock === undefined) return Date.now
  const path = join(dataFolder, 'clock.json')
  if (!existsSync(path)) createWhole(path, JSON.stringify({ startedAt: Date.now() }))
  const { startedAt } = JSON.parse(readFileSync(path, 'utf8')) as { startedAt: number }
  const from = Date.parse(clock.from)
  return () => Math.floor(from + (Date.now() - startedAt) * clock.rate)
}

/** Whole or not at all; of several processes that do this at once one wins. */
function createWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, text)
  try {
    linkSync(temporary, path)
  } catch (error) {
    if (!existsSync(path)) throw error
  } finally {
    rmSync(temporary)
  }
}
