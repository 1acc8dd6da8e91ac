import type { TidemarkError } from '../features/errors/tidemark-error.ts'
import { failStore } from './errors.ts'

type FailureCode = 'TM_DISK_FULL' | 'TM_DATA_IO' | 'TM_DATA_READ_ONLY' | 'TM_DATA_DAMAGED'

/** How the engines (LMDB, SQLite, DuckDB, the file system) say it. They have no code in common. */
const SIGNS: readonly (readonly [FailureCode, RegExp])[] = [
  [
    'TM_DISK_FULL',
    /ENOSPC|EDQUOT|EFBIG|no space left|disk is full|disk quota exceeded|file too large|max(imum)? swap space|MDB_MAP_FULL/i,
  ],
  // What LMDB also says where a write was cut short, as the last one before a disk is full is.
  ['TM_DATA_IO', /\bEIO\b|input\/output error/i],
  ['TM_DATA_READ_ONLY', /EROFS|EACCES|EPERM|cannot open file|read-?only|permission denied|operation not permitted/i],
  [
    'TM_DATA_DAMAGED',
    /MDB_(CORRUPTED|INVALID|PAGE_NOTFOUND|VERSION_MISMATCH|PANIC)|not an LMDB file|file is not a database|malformed|no magic bytes|corrupt|TProtocolException/i,
  ],
]

const ADVICE: Readonly<Record<FailureCode, string>> = {
  TM_DISK_FULL:
    'the disk of the data folder is full: free space or raise the quota; nothing stored is lost, and work goes on from there',
  TM_DATA_IO:
    'the disk of the data folder took a write in part or not at all: it is full, or failing; look at its free space, then at the system log; nothing stored is lost, and work goes on from there',
  TM_DATA_READ_ONLY: 'a file or folder cannot be written: give this user the right to write it, or use another folder',
  TM_DATA_DAMAGED: 'a file of the data folder is damaged: restore the folder from a backup',
}

export function diskFull(found: string, cause: unknown): TidemarkError {
  return failStore('TM_DISK_FULL', `${ADVICE.TM_DISK_FULL} (${found})`, { cause })
}

/** What a storage engine's own error means for the one who runs Tidemark, or null: it is none of these. */
export function storeFailure(error: unknown): TidemarkError | null {
  if (!(error instanceof Error)) return null
  const text = `${'code' in error ? String(error.code) : ''} ${error.message}`
  const found = SIGNS.find(([, sign]) => sign.test(text))
  if (found === undefined) return null
  const [code] = found
  return failStore(code, `${ADVICE[code]} (${error.message.split('\n')[0]})`, { cause: error })
}
