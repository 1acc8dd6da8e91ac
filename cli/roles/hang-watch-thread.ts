import { rmSync, writeFileSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { describeRunning } from '../../features/kernel/running-function.ts'
import type { HangWatch } from './hang-watch.ts'

/** The thread of `watchForHangs`: counts its own turns, not time, so that a machine that slept is no hang. */
const { beats, running, path, beatMs, hangsAfterMs } = workerData as HangWatch
let seen = -1
let silent = 0
let isTold = false

setInterval(() => {
  const now = Atomics.load(beats, 0)
  if (now !== seen) {
    seen = now
    silent = 0
    if (isTold) rmSync(path, { force: true })
    isTold = false
    return
  }
  silent += beatMs
  if (silent < hangsAfterMs || isTold) return
  isTold = true
  try {
    writeFileSync(path, describeRunning(running) ?? '')
  } catch {
    // The folder is gone, or full: the hang is not named.
  }
}, beatMs)
