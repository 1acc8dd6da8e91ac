import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { failStore } from '../stores/errors.ts'
import { failCli } from './errors.ts'

const FORMAT = 1

/** A clock for recorded data: simulated time `from` at the first start of the data folder, then `rate` times as fast as real time. TM_CONFIG if it was begun otherwise. */
export function openClock(
  dataFolder: string,
  clock: { readonly from: string; readonly rate: number } | undefined,
): () => number {
  if (clock === undefined) return Date.now
  const path = join(dataFolder, 'clock.json')
  if (!existsSync(path)) createWhole(path, JSON.stringify({ format: FORMAT, startedAt: Date.now(), ...clock }))
  const { startedAt, ...begun } = readStart(path)
  if (begun.from !== clock.from || begun.rate !== clock.rate)
    throw failCli(
      'TM_CONFIG',
      `clock is from ${clock.from} at rate ${clock.rate}, but this data folder was begun from ${begun.from} at rate ${begun.rate}: set it back, or use a fresh data folder`,
      { details: { setting: 'clock' } },
    )
  const from = Date.parse(clock.from)
  return () => Math.floor(from + (Date.now() - startedAt) * clock.rate)
}

interface ClockStart {
  /** Epoch ms, real time. */
  readonly startedAt: number
  readonly from: string
  readonly rate: number
}

function readStart(path: string): ClockStart {
  let held: Partial<ClockStart> & { readonly format?: unknown }
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
  const { startedAt, from, rate } = held
  if (typeof startedAt !== 'number' || typeof from !== 'string' || typeof rate !== 'number')
    throw failStore('TM_DATA_DAMAGED', `${path} lacks startedAt, from or rate: restore the data folder from a backup`)
  return { startedAt, from, rate }
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
