import { watch } from 'node:fs'
import type { FSWatcher } from 'node:fs'
import { join } from 'node:path'
import type { LogWatch } from '../log.ts'

/** Where the system tells of writes to the file, looking is for those that it does not tell of (a network file system). */
const POLL_MS_TOLD = 100
const POLL_MS_UNTOLD = 5

/** After the system told of a write: a commit can be read only a moment after its last write. */
const LOOK_AFTER_MS = [1, 5]

/**
 * Notices appends of any process by their count, which is read as records are: where it is another, the records can be read too (LMDB's own number of the last transaction
 * says so earlier). When to look, the system says, as the environment's file is written to.
 */
export class LmdbLogWatch implements LogWatch {
  readonly #count: () => number
  readonly #path: string
  #marked = -1
  #watcher: FSWatcher | null = null
  #isTold = true
  #look: () => void = () => {}

  /** `count`: of appends, by all processes. */
  constructor(count: () => number, path: string) {
    this.#count = count
    this.#path = path
  }

  async mark(): Promise<void> {
    this.#marked = this.#count()
  }

  async wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    this.#open()
    return new Promise((resolve) => {
      const isChanged = (): boolean => this.#count() !== this.#marked
      if (isChanged() || signal?.aborted === true) return resolve(isChanged())
      const end = (): void => {
        clearTimeout(timer)
        clearInterval(poll)
        signal?.removeEventListener('abort', end)
        this.#look = () => {}
        resolve(isChanged())
      }
      this.#look = () => {
        if (isChanged()) end()
      }
      const timer = setTimeout(end, timeoutMs)
      const poll = setInterval(() => this.#look(), this.#isTold ? POLL_MS_TOLD : POLL_MS_UNTOLD)
      signal?.addEventListener('abort', end)
    })
  }

  close(): void {
    this.#watcher?.close()
    this.#watcher = null
  }

  #open(): void {
    if (this.#watcher !== null || !this.#isTold) return
    const untold = (): void => {
      this.#isTold = false
      this.close()
    }
    try {
      this.#watcher = watch(join(this.#path, 'data.mdb'), { persistent: false }, () => {
        this.#look()
        for (const ms of LOOK_AFTER_MS) setTimeout(() => this.#look(), ms).unref()
      })
      this.#watcher.on('error', untold)
    } catch {
      // As many files are watched as the system allows.
      untold()
    }
  }
}
