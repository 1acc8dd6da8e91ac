import { randomUUID } from 'node:crypto'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** `arrow-<process>-<random>.parquet` */
const NAME = /^arrow-(\d+)-/

/** Arrow files as Parquet: each converted once while it stays as it is, all deleted in the end. */
export class ConvertedFiles {
  readonly #folder: string
  readonly #held = new Map<string, Promise<string>>()

  constructor(folder: string) {
    this.#folder = folder
    for (const name of readdirSync(folder)) {
      const owner = NAME.exec(name)
      if (owner !== null && !isAlive(Number(owner[1]))) rmSync(join(folder, name), { force: true })
    }
  }

  /** TM_FILE_UNREADABLE. */
  parquetOf(path: string): Promise<string> {
    const { mtimeMs, size, ino } = statSync(path)
    const key = `${path}\0${mtimeMs}\0${size}\0${ino}`
    let converted = this.#held.get(key)
    if (converted === undefined) {
      converted = this.#convert(path)
      converted.catch(() => this.#held.delete(key))
      this.#held.set(key, converted)
    }
    return converted
  }

  async #convert(path: string): Promise<string> {
    const { arrowToParquet } = await import('./arrow/arrow-to-parquet.ts')
    const target = join(this.#folder, `arrow-${process.pid}-${randomUUID()}.parquet`)
    await arrowToParquet(path, target)
    return target
  }

  close(): void {
    for (const converted of this.#held.values())
      void converted.then(
        (path) => rmSync(path, { force: true }),
        () => {},
      )
    this.#held.clear()
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
