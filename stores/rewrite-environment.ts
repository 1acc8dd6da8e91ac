import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openEnvironment } from './lmdb-environment.ts'
import type { BinaryDatabase } from './lmdb-environment.ts'

const CHUNK_ENTRIES = 2000

/**
 * Writes an environment anew from its entries, so that nothing is left of what was deleted: LMDB keeps deleted bytes in free pages, in gaps of pages, and in keys of
 * inner pages. No process may have it open. The new file takes the old one's place in one step, so a crash leaves the one or the other.
 */
export async function rewriteEnvironment(path: string): Promise<void> {
  const fresh = `${path}.rewritten`
  rmSync(fresh, { recursive: true, force: true })
  const from = openEnvironment(path)
  const to = openEnvironment(fresh)
  try {
    copyEntries(from, to)
    await to.flushed
  } catch (error) {
    await to.close()
    rmSync(fresh, { recursive: true, force: true })
    throw error
  } finally {
    await from.close()
  }
  await to.close()
  renameSync(join(fresh, 'data.mdb'), join(path, 'data.mdb'))
  const folder = openSync(path, 'r')
  fsyncSync(folder)
  closeSync(folder)
  rmSync(join(path, 'lock.mdb'), { force: true })
  rmSync(fresh, { recursive: true, force: true })
}

function copyEntries(from: BinaryDatabase, to: BinaryDatabase): void {
  let chunk: { key: Buffer; value: Buffer }[] = []
  const write = (): void => {
    to.transactionSync(() => {
      for (const { key, value } of chunk) to.putSync(key, value)
    })
    chunk = []
  }
  for (const { key, value } of from.getRange({})) {
    chunk.push({ key: Buffer.from(key), value: Buffer.from(value) })
    if (chunk.length === CHUNK_ENTRIES) write()
  }
  write()
}
