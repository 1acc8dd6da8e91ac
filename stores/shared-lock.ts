import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ProcessLock } from './process-lock.ts'
import { isBusy } from './process-lock.ts'

/** How long one try for the whole lock keeps newcomers out. */
const EXCLUSIVE_TRY_MS = 200

/** A lock on a file that many processes may share, or one may hold alone. The operating system frees it when a process ends, however it ends. */
export class SharedLockFile {
  readonly #path: string
  /** Connections without a lock, kept: opening one costs more than locking. */
  readonly #idle: DatabaseSync[] = []

  constructor(path: string) {
    mkdirSync(dirname(path), { recursive: true })
    this.#path = path
  }

  /** null while another holds it alone, or tries to. */
  tryShared(): ProcessLock | null {
    return this.#take('pragma busy_timeout = 0; begin; select count(*) from sqlite_master')
  }

  /** null while others share it: tries for a moment, in which nobody new gets a share. */
  tryExclusive(): ProcessLock | null {
    return this.#take(`pragma busy_timeout = ${EXCLUSIVE_TRY_MS}; begin exclusive`)
  }

  #take(sql: string): ProcessLock | null {
    const database = this.#idle.pop() ?? new DatabaseSync(this.#path)
    try {
      database.exec(sql)
    } catch (error) {
      database.close()
      if (isBusy(error)) return null
      throw error
    }
    let held = true
    return {
      release: () => {
        if (!held) return
        held = false
        database.exec('rollback')
        this.#idle.push(database)
      },
    }
  }
}
