import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import type { RootDatabase } from 'lmdb'
import { failStore } from './errors.ts'
import { checkLmdbFile } from './lmdb-file-check.ts'

/** Format of what Tidemark writes into an LMDB environment. A folder of a greater format is refused. */
const FORMAT = 1
const FORMAT_KEY = Buffer.from('\0format')

export type BinaryDatabase = RootDatabase<Buffer, Buffer>

/** Opens (or makes) an environment of binary keys and values. Several processes may have it open. */
export function openEnvironment(path: string): BinaryDatabase {
  mkdirSync(path, { recursive: true })
  checkLmdbFile(join(path, 'data.mdb'))
  const db: BinaryDatabase = open<Buffer, Buffer>({
    path,
    encoding: 'binary',
    keyEncoding: 'binary',
    noSubdir: false,
    maxReaders: 126,
    mapSize: 1 << 30,
  })
  const format = db.getBinary(FORMAT_KEY)
  if (format === undefined) db.putSync(FORMAT_KEY, Buffer.from([FORMAT]))
  else if (format[0] > FORMAT) {
    throw failStore(
      'TM_DATA_NEWER',
      `${path} has format ${format[0]}, this version reads up to ${FORMAT}: upgrade Tidemark, or use another data folder`,
    )
  }
  return db
}
