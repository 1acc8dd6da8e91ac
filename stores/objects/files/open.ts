import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { failStore } from '../../errors.ts'
import { checkObjectName, folderOfPrefix, TEMPORARY } from '../object-names.ts'
import type { ObjectInfo, ObjectStore } from '../object-store.ts'

/** Objects as files under a folder; create-only by hard link from a finished temporary file. */
export async function openFileObjects({ path }: { readonly path: string }): Promise<ObjectStore> {
  await mkdir(join(path, TEMPORARY), { recursive: true })
  return new FileObjectStore(path)
}

class FileObjectStore implements ObjectStore {
  readonly #root: string

  constructor(root: string) {
    this.#root = root
  }

  async create(name: string, bytes: Uint8Array): Promise<boolean> {
    this.#pathOf(name)
    const temporary = await this.temporaryPath('.part')
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    return this.createFromFile(name, temporary)
  }

  async createFromFile(name: string, path: string): Promise<boolean> {
    const target = this.#pathOf(name)
    try {
      await this.#makeFolder(dirname(target))
      await syncPath(path)
      if (!(await linkOnce(path, target))) return false
      await syncPath(dirname(target))
      return true
    } finally {
      await rm(path, { force: true })
    }
  }

  async read(name: string): Promise<Uint8Array | null> {
    try {
      return await readFile(this.#pathOf(name))
    } catch (error) {
      if (isAbsent(error) || hasCode(error, 'EISDIR')) return null
      throw error
    }
  }

  async localPath(name: string): Promise<string> {
    const path = this.#pathOf(name)
    if ((await statOf(path)) !== null) return path
    throw failStore(
      'TM_OBJECT_MISSING',
      `object ${name} is not in ${this.#root}: restore it from a backup, or rebuild the archive`,
    )
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const folder = folderOfPrefix(prefix)
    const found: ObjectInfo[] = []
    await this.#walk(folder, found)
    return found.filter(({ name }) => name.startsWith(prefix)).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async delete(name: string): Promise<void> {
    await rm(this.#pathOf(name), { force: true })
  }

  async temporaryPath(suffix: string): Promise<string> {
    return join(this.#root, TEMPORARY, `${randomUUID()}${suffix}`)
  }

  async deleteTemporary(epochMs: number): Promise<void> {
    const folder = join(this.#root, TEMPORARY)
    for (const name of await readdir(folder)) {
      const file = await statOf(join(folder, name))
      if (file !== null && file.mtimeMs < epochMs) await rm(join(folder, name), { force: true })
    }
  }

  async close(): Promise<void> {}

  async #walk(folder: string, found: ObjectInfo[]): Promise<void> {
    let entries
    try {
      entries = await readdir(join(this.#root, folder), { withFileTypes: true })
    } catch (error) {
      if (isAbsent(error)) return
      throw error
    }
    for (const entry of entries) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (name === TEMPORARY) continue
      if (entry.isDirectory()) await this.#walk(name, found)
      else {
        const file = await statOf(join(this.#root, name))
        // The link that committed it was the last change of the file's inode.
        if (file !== null) found.push({ name, sizeBytes: file.size, createdAtMs: file.ctimeMs })
      }
    }
  }

  /** Makes a folder and every missing one above it, durably: a folder's entry lives in its parent. */
  async #makeFolder(folder: string): Promise<void> {
    if ((await mkdir(folder, { recursive: true })) === undefined) return
    for (
      let above = this.#root, rest = relative(this.#root, folder).split(sep);
      rest.length > 0;
      rest = rest.slice(1)
    ) {
      await syncPath(above)
      above = join(above, rest[0])
    }
  }

  #pathOf(name: string): string {
    checkObjectName(name)
    return join(this.#root, name)
  }
}

/** False where the target is there already. */
async function linkOnce(path: string, target: string): Promise<boolean> {
  try {
    await link(path, target)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A file, or null where there is none (it may have been deleted a moment ago). */
async function statOf(path: string): Promise<Stats | null> {
  try {
    const found = await stat(path)
    return found.isFile() ? found : null
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
