import { parentPort, workerData } from 'node:worker_threads'
import { TaskRunner } from './export-tasks.ts'
import type { ExportProgram, ExportTask } from './export-tasks.ts'

/** Entry of an export's worker thread: a task in, its result or an error's text out. */
const runner = new TaskRunner(workerData as ExportProgram)

parentPort?.on('message', (task: ExportTask) => {
  try {
    const result = runner.run(task)
    parentPort?.postMessage({ result }, 'bytes' in result ? [result.bytes.buffer as ArrayBuffer] : [])
  } catch (error) {
    parentPort?.postMessage({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
})
