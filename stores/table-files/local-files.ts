import { glob, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { failStore } from '../errors.ts'
import type { FileMark, LocalFile, TableFile, TableFiles } from './table-files.ts'

/** A file is taken in when it has not been written to for so long. */
const QUIET_MS = 2000
const LOOK_AGAIN_MS = 250

/** Files below a folder; `wallClock` is epoch ms of this machine. */
export class LocalFiles implements TableFiles {
  readonly #folder: string
  readonly #wallClock: () => number

  constructor(folder: string, wallClock: () => number) {
    this.#folder = folder
    this.#wallClock = wallClock
  }

  async find(globs: readonly string[]): Promise<TableFile[]> {
    const names = new Set<string>()
    for await (const entry of glob([...globs], { cwd: this.#folder, withFileTypes: true }))
      if (entry.isFile() && !entry.name.startsWith('.'))
        names.add(relative(this.#folder, join(entry.parentPath, entry.name)))
    const files = await Promise.all(
      [...names].sort().map(async (name) => ({ name, mark: await this.#mark(name).catch(() => null) })),
    )
    return files.flatMap(({ name, mark }) => (mark === null ? [] : [{ name, mark }]))
  }

  async settled({ name }: TableFile, signal: AbortSignal): Promise<FileMark> {
    for (;;) {
      const mark = await this.#mark(name)
      const quietMs = this.#wallClock() - mark.modifiedMs
      if (signal.aborted || quietMs >= QUIET_MS || quietMs < 0) return mark
      await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {})
    }
  }

  async open({ name }: TableFile): Promise<LocalFile> {
    return { path: join(this.#folder, name), release: async () => {} }
  }

  async close(): Promise<void> {}

  async #mark(name: string): Promise<FileMark> {
    try {
      const { size, mtimeMs } = await stat(join(this.#folder, name))
      return { bytes: size, modifiedMs: mtimeMs }
    } catch (error) {
      throw failStore('TM_FILE_MISSING', `${name} is there no more: it was found a moment ago`, { cause: error })
    }
  }
}
