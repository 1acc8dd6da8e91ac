import { Worker } from 'node:worker_threads'
import { TaskRunner } from './export-tasks.ts'
import type { ExportProgram, ExportResult, ExportTask } from './export-tasks.ts'

/** Runs tasks on worker threads, or on the calling one. */
export interface TaskPool {
  readonly threads: number
  run(task: ExportTask): Promise<ExportResult>
  close(): Promise<void>
}

/** `threads` 0: on the calling thread, which suits small exports. */
export function openTaskPool(program: ExportProgram, threads: number): TaskPool {
  return threads === 0 ? new CallingThread(program) : new WorkerPool(program, threads)
}

class CallingThread implements TaskPool {
  readonly threads = 1
  readonly #runner: TaskRunner

  constructor(program: ExportProgram) {
    this.#runner = new TaskRunner(program)
  }

  run(task: ExportTask): Promise<ExportResult> {
    return Promise.resolve(this.#runner.run(task))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

interface Waiting {
  readonly task: ExportTask
  readonly resolve: (result: ExportResult) => void
  readonly reject: (error: Error) => void
}

type Reply = { readonly result: ExportResult } | { readonly error: string }

class WorkerPool implements TaskPool {
  readonly threads: number
  readonly #workers: readonly Worker[]
  readonly #idle: Worker[]
  readonly #running = new Map<Worker, Waiting>()
  readonly #queue: Waiting[] = []
  #failure: Error | null = null

  constructor(program: ExportProgram, threads: number) {
    this.threads = threads
    // Compiled code stands beside this file with the extension that this one has.
    const entry = new URL(
      import.meta.url.endsWith('.ts') ? './export-worker.ts' : './export-worker.js',
      import.meta.url,
    )
    this.#workers = Array.from({ length: threads }, () => new Worker(entry, { workerData: program }))
    this.#idle = [...this.#workers]
    for (const worker of this.#workers) {
      worker.on('message', (reply: Reply) => this.#finish(worker, reply))
      worker.on('error', (error) => this.#fail(error))
      worker.on('exit', () => this.#fail(new Error('a worker thread of the export ended')))
    }
  }

  run(task: ExportTask): Promise<ExportResult> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure)
      this.#queue.push({ task, resolve, reject })
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('the export was stopped'))
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  #next(): void {
    while (this.#idle.length > 0 && this.#queue.length > 0) {
      const worker = this.#idle.pop()!
      const waiting = this.#queue.shift()!
      this.#running.set(worker, waiting)
      worker.postMessage(waiting.task)
    }
  }

  #finish(worker: Worker, reply: Reply): void {
    const waiting = this.#running.get(worker)
    this.#running.delete(worker)
    this.#idle.push(worker)
    if ('error' in reply) waiting?.reject(new Error(reply.error))
    else waiting?.resolve(reply.result)
    this.#next()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of [...this.#running.values(), ...this.#queue]) reject(this.#failure)
    this.#running.clear()
    this.#queue.length = 0
  }
}
