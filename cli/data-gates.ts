import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { ProcessLock } from '../stores/process-lock.ts'
import { rewriteEnvironment } from '../stores/rewrite-environment.ts'
import { SharedLockFile } from '../stores/shared-lock.ts'

const RETRY_MS = 5
const ENVIRONMENTS = ['log', 'online'] as const

/** A share of the right to change stored data, for one step of a role. */
export interface WorkStep extends ProcessLock {
  /** Another than in the step before: history was changed in between, and what a role holds in memory may be of the old one. */
  readonly generation: number
}

/**
 * Who may do what to a data folder at once. Steps of roles, and commands that append to keyed logs, share `work`; exports and verifications share `archive`; every
 * process with stores open shares `stores`. A command that changes history holds the first two alone; one that writes database files anew, the third.
 */
export class DataGates {
  readonly #folder: string
  readonly #work: SharedLockFile
  readonly #archive: SharedLockFile
  readonly #stores: SharedLockFile

  constructor(dataFolder: string) {
    this.#folder = dataFolder
    const lock = (name: string): SharedLockFile => new SharedLockFile(join(dataFolder, 'run', `${name}.gate`))
    this.#work = lock('work')
    this.#archive = lock('archive')
    this.#stores = lock('stores')
  }

  /** null where aborted first. */
  async enterWork(signal?: AbortSignal): Promise<WorkStep | null> {
    const lock = await until(() => this.#work.tryShared(), signal)
    return lock === null ? null : { generation: this.#generation(), release: () => lock.release() }
  }

  /** The archive's files stay while this is held. null where aborted first. */
  async readArchive(signal?: AbortSignal): Promise<ProcessLock | null> {
    return until(() => this.#archive.tryShared(), signal)
  }

  /** No role works and nobody reads the archive while this is held. null where aborted first. `onWait`: readers are being waited for. */
  async holdAlone(signal: AbortSignal, onWait: () => void): Promise<ProcessLock | null> {
    const archive = await until(() => this.#archive.tryExclusive(), signal, onWait)
    if (archive === null) return null
    const work = await until(() => this.#work.tryExclusive(), signal)
    if (work === null) {
      archive.release()
      return null
    }
    writeFileSync(this.#generationPath, String(this.#generation() + 1))
    return {
      release: () => {
        work.release()
        archive.release()
      },
    }
  }

  /** Held by a process while it has the stores open. Database files that are to be written anew are, where nobody else has them open. */
  async openStores(): Promise<ProcessLock> {
    // Where that fails (no room for a second file), it is tried again by the next one.
    if (this.isRewritePending) await this.rewriteStores().catch(() => false)
    const lock = await until(() => this.#stores.tryShared())
    if (lock === null) throw new Error('never aborted')
    return lock
  }

  get isRewritePending(): boolean {
    return existsSync(this.#pendingPath)
  }

  /** From now on database files are to be written anew, by whoever can first. */
  markForRewrite(): void {
    writeFileSync(this.#pendingPath, '')
  }

  /** Writes the database files anew, if no process has them open; false: one has. */
  async rewriteStores(): Promise<boolean> {
    const lock = this.#stores.tryExclusive()
    if (lock === null) return false
    try {
      for (const name of ENVIRONMENTS)
        if (existsSync(join(this.#folder, name))) await rewriteEnvironment(join(this.#folder, name))
      rmSync(this.#pendingPath, { force: true })
      return true
    } finally {
      lock.release()
    }
  }

  get #pendingPath(): string {
    return join(this.#folder, 'rewrite.pending')
  }

  get #generationPath(): string {
    mkdirSync(join(this.#folder, 'run'), { recursive: true })
    return join(this.#folder, 'run', 'generation')
  }

  #generation(): number {
    return statSync(this.#generationPath, { throwIfNoEntry: false })?.mtimeMs ?? 0
  }
}

async function until(
  take: () => ProcessLock | null,
  signal?: AbortSignal,
  onWait?: () => void,
): Promise<ProcessLock | null> {
  for (let waited = false; signal?.aborted !== true; waited = true) {
    const lock = take()
    if (lock !== null) return lock
    if (!waited) onWait?.()
    await pause(RETRY_MS)
  }
  return null
}
