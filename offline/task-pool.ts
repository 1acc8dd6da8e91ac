import { enableCompileCache } from 'node:module'
import { Worker } from 'node:worker_threads'
import { TaskRunner } from './export-tasks.ts'
import type { ExportProgram, ExportResult, ExportResults, ExportTask } from './export-tasks.ts'
import { loadRowGroup } from './load-row-group.ts'
import { failureOf } from './task-failure.ts'
import type { TaskFailure } from './task-failure.ts'

/** Runs tasks on worker threads, or on the calling one. */
export interface TaskPool {
  readonly threads: number
  run<K extends ExportTask['kind']>(task: ExportTask & { readonly kind: K }): Promise<ExportResults[K]>
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
    this.#runner = new TaskRunner(program, 0)
  }

  async run<K extends ExportTask['kind']>(task: ExportTask & { readonly kind: K }): Promise<ExportResults[K]> {
    return this.#runner.run(task) as ExportResults[K]
  }

  async close(): Promise<void> {
    this.#runner.close()
  }
}

/** Tasks that a worker has at once, so that it has another when it ends one. */
const TASKS_AHEAD = 2

/** Reads events on the calling thread, for those who sweep themselves. */
export function openLoader(): TaskPool {
  return {
    threads: 1,
    async run<K extends ExportTask['kind']>(task: ExportTask & { readonly kind: K }): Promise<ExportResults[K]> {
      if (task.kind !== 'load') throw new TypeError(`a loader runs no task of kind ${task.kind}`)
      return loadRowGroup((task as Extract<ExportTask, { kind: 'load' }>).load) as ExportResults[K]
    },
    async close() {},
  }
}

interface Waiting {
  readonly task: ExportTask
  readonly resolve: (result: ExportResult) => void
  readonly reject: (error: Error) => void
}

type Reply = { readonly result: ExportResult } | { readonly failure: TaskFailure }

class WorkerPool implements TaskPool {
  readonly threads: number
  readonly #workers: readonly Worker[]
  /** By worker, the first is running. */
  readonly #given = new Map<Worker, Waiting[]>()
  readonly #queue: Waiting[] = []
  #failure: Error | null = null

  constructor(program: ExportProgram, threads: number) {
    this.threads = threads
    // Compiled code stands beside this file with the extension that this one has.
    const entry = new URL(
      import.meta.url.endsWith('.ts') ? './export-worker.ts' : './export-worker.js',
      import.meta.url,
    )
    // From the first line on: what a thread runs is compiled once per machine, half a second of work for each from sources.
    const { directory } = enableCompileCache()
    const env = directory === undefined ? {} : { NODE_COMPILE_CACHE: directory }
    this.#workers = Array.from({ length: threads }, () => new Worker(entry, { workerData: program, env }))
    for (const worker of this.#workers) {
      this.#given.set(worker, [])
      worker.on('message', (reply: Reply) => this.#finish(worker, reply))
      worker.on('error', (error) => this.#fail(error))
      worker.on('exit', () => this.#fail(new Error('a worker thread of the export ended')))
    }
  }

  run<K extends ExportTask['kind']>(task: ExportTask & { readonly kind: K }): Promise<ExportResults[K]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure)
      this.#queue.push({ task, resolve: (result) => resolve(result as ExportResults[K]), reject })
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('the export was stopped'))
    await Promise.all(this.#workers.map((worker) => worker.terminate()))
  }

  #next(): void {
    for (let ahead = 0; ahead < TASKS_AHEAD; ahead++)
      for (const [worker, given] of this.#given) {
        if (given.length > ahead || this.#queue.length === 0) continue
        const waiting = this.#queue.shift()!
        given.push(waiting)
        worker.postMessage(waiting.task)
      }
  }

  #finish(worker: Worker, reply: Reply): void {
    const waiting = this.#given.get(worker)?.shift()
    this.#next()
    if ('failure' in reply) waiting?.reject(failureOf(reply.failure))
    else waiting?.resolve(reply.result)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of [...[...this.#given.values()].flat(), ...this.#queue]) reject(this.#failure)
    for (const given of this.#given.values()) given.length = 0
    this.#queue.length = 0
  }
}
