import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { failStore } from '../../errors.ts'
import type { ObjectInfo, ObjectStore } from '../object-store.ts'

const NAME = /^[A-Za-z0-9._=-]+(?:\/[A-Za-z0-9._=-]+)*$/
const TEMPORARY = '.tmp'

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
    await mkdir(dirname(target), { recursive: true })
    try {
      await syncPath(path)
      await link(path, target)
      await syncPath(dirname(target))
      return true
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    } finally {
      await rm(path, { force: true })
    }
  }

  async read(name: string): Promise<Uint8Array | null> {
    try {
      return await readFile(this.#pathOf(name))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return null
      throw error
    }
  }

  async localPath(name: string): Promise<string> {
    const path = this.#pathOf(name)
    try {
      await stat(path)
      return path
    } catch (error) {
      throw failStore(
        'TM_OBJECT_MISSING',
        `object ${name} is not in ${this.#root}: restore it from a backup, or rebuild the archive`,
        { cause: error },
      )
    }
  }

  async list(prefix: string): Promise<ObjectInfo[]> {
    const folder = prefix.includes('/') ? prefix.slice(0, prefix.lastIndexOf('/')) : ''
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

  async close(): Promise<void> {}

  async #walk(folder: string, found: ObjectInfo[]): Promise<void> {
    let entries
    try {
      entries = await readdir(join(this.#root, folder), { withFileTypes: true })
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return
      throw error
    }
    for (const entry of entries) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`
      if (name === TEMPORARY) continue
      if (entry.isDirectory()) await this.#walk(name, found)
      else found.push({ name, sizeBytes: (await stat(join(this.#root, name))).size })
    }
  }

  #pathOf(name: string): string {
    if (
      !NAME.test(name) ||
      name.split('/').some((segment) => segment === '.' || segment === '..' || segment === TEMPORARY)
    ) {
      throw failStore(
        'TM_OBJECT_NAME',
        `${JSON.stringify(name)} is not an object name: segments of letters, digits and . _ = -, separated by /`,
      )
    }
    return join(this.#root, name)
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

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
