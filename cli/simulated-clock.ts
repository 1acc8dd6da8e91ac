import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failStore } from '../stores/errors.ts'

const FORMAT = 1

/** A clock for recorded data: simulated time `from` at the first start of the data folder, then `rate` times as fast as real time. */
export function openClock(
  dataFolder: string,
  clock: { readonly from: string; readonly rate: number } | undefined,
): () => number {
  if (clock === undefined) return Date.now
  const path = join(dataFolder, 'clock.json')
  if (!existsSync(path)) createWhole(path, JSON.stringify({ format: FORMAT, startedAt: Date.now() }))
  const startedAt = readStart(path)
  const from = Date.parse(clock.from)
  return () => Math.floor(from + (Date.now() - startedAt) * clock.rate)
}

function readStart(path: string): number {
  let held: { readonly format?: unknown; readonly startedAt?: unknown }
  try {
    held = JSON.parse(readFileSync(path, 'utf8')) as typeof held
  } catch (cause) {
    throw failStore('TM_DATA_DAMAGED', `${path} is not JSON: restore the data folder from a backup`, { cause })
  }
  if (typeof held.format === 'number' && held.format > FORMAT)
    throw failStore(
      'TM_DATA_NEWER',
      `${path} has format ${held.format}, this version reads up to ${FORMAT}: upgrade Tidemark, or use another data folder`,
    )
  if (typeof held.startedAt !== 'number')
    throw failStore('TM_DATA_DAMAGED', `${path} has no startedAt: restore the data folder from a backup`)
  return held.startedAt
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
