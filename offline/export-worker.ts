import { enableCompileCache, flushCompileCache } from 'node:module'
import { parentPort, threadId, workerData } from 'node:worker_threads'
import type { ExportProgram, ExportTask } from './export-tasks.ts'

/*
 * Entry of an export's worker thread: a task in, its result or an error's text out. What it runs is compiled once per machine, not once per thread: half a
 * second of work for each from sources. Messages wait until somebody listens.
 */
enableCompileCache()
const { describeFailure } = await import('./task-failure.ts')
const { TaskRunner } = await import('./export-tasks.ts')
flushCompileCache()
const runner = new TaskRunner(workerData as ExportProgram, threadId)

parentPort?.on('message', (task: ExportTask) => {
  try {
    const result = runner.run(task)
    parentPort?.postMessage({ result }, 'chunks' in result ? [result.bytes.buffer as ArrayBuffer] : [])
  } catch (error) {
    parentPort?.postMessage({ failure: describeFailure(error) })
  }
})
