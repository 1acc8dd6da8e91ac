import { closeSync, existsSync, openSync, readSync, fstatSync } from 'node:fs'
import { failStore } from './errors.ts'

/*
 * What is looked at of an LMDB data file, before LMDB maps it (a damaged file would end the process): two meta pages, the first at 0 and the second at the
 * page size, each with
 *
 *   24 u32 magic 0xbeefc0de · 48 u32 page size · 88 u64 root page of the free list · 136 u64 root page of the data (all ones: none) · 152 u64 transaction
 *
 * The one of the greater transaction counts.
 */
const MAGIC = 0xbeefc0de
const META_BYTES = 160
const NO_PAGE = 0xffff_ffff_ffff_ffffn

/** TM_DATA_DAMAGED where a data file is there and is none, or ends before its root pages. */
export function checkLmdbFile(path: string): void {
  if (!existsSync(path)) return
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size === 0) return
    const first = readMeta(file, 0)
    const pageBytes = first?.pageBytes ?? 4096
    const metas = [first, readMeta(file, pageBytes)].filter((meta) => meta !== null)
    const [newest] = metas.sort((a, b) => (a.transaction < b.transaction ? 1 : -1))
    const isWhole = newest?.roots.every((page) => page === NO_PAGE || (page + 1n) * BigInt(pageBytes) <= BigInt(size))
    if (isWhole !== true)
      throw failStore(
        'TM_DATA_DAMAGED',
        `${path} (${size} bytes) is no whole database file: it was overwritten or cut short; restore the data folder from a backup`,
        { details: { path } },
      )
  } finally {
    closeSync(file)
  }
}

function readMeta(file: number, at: number): { pageBytes: number; transaction: bigint; roots: bigint[] } | null {
  const bytes = Buffer.alloc(META_BYTES)
  if (readSync(file, bytes, 0, META_BYTES, at) < META_BYTES || bytes.readUInt32LE(24) !== MAGIC) return null
  return {
    pageBytes: bytes.readUInt32LE(48),
    transaction: bytes.readBigUInt64LE(152),
    roots: [bytes.readBigUInt64LE(88), bytes.readBigUInt64LE(136)],
  }
}
