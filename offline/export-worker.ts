import { flushCompileCache } from 'node:module'
import { parentPort, threadId, workerData } from 'node:worker_threads'
import { TaskRunner } from './export-tasks.ts'
import type { ExportProgram, ExportTask } from './export-tasks.ts'
import { describeFailure } from './task-failure.ts'

/* Entry of an export's worker thread: a task in, its result or an error's text out. Messages wait until somebody listens. */
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
