import { archiveCandidates, archiveFileName, archiveFiles } from '../../stores/tables/archive-files.ts'
import type { ArchiveFile, PartitionPlace } from '../../stores/tables/archive-files.ts'
import { recordArchiveHash } from '../../stores/tables/archive-hashes.ts'
import { sqlText } from '../../stores/tables/tables.ts'
import { copyToArchive } from '../archive/archive-writer.ts'
import type { StreamContext } from '../stream-context.ts'
import type { ForgottenKey } from './forgotten-key.ts'

const COUNT = { name: 'n', type: { kind: 'float64' }, nullable: false, nonFinite: 'reject' } as const

/**
 * Writes a partition's files that hold the key's events anew without them, each one level higher under the same first offset, and deletes what was replaced, whatever
 * replaced it. No reader and no compaction may be at work. Returns how many events went.
 */
export async function thinArchive(context: StreamContext, key: ForgottenKey, place: PartitionPlace): Promise<number> {
  const { objects } = context
  let events = 0
  for (const file of await archiveFiles(context, place)) {
    const count = await countIn(context, key, file)
    if (count > 0) await writeWithout(context, key, place, file, count)
    events += count
  }
  const live = new Set((await archiveFiles(context, place)).map(({ name }) => name))
  for (const { name } of await archiveCandidates(context, place)) if (!live.has(name)) await objects.delete(name)
  return events
}

async function countIn({ objects, tables }: StreamContext, key: ForgottenKey, { name }: ArchiveFile): Promise<number> {
  const path = sqlText(await objects.localPath(name))
  const { columns } = await tables.queryAll(`SELECT count(*)::DOUBLE FROM read_parquet(${path}) WHERE ${key.sql()}`, [
    COUNT,
  ])
  return columns[0].storage === 'number' ? columns[0].values[0] : 0
}

async function writeWithout(
  context: StreamContext,
  key: ForgottenKey,
  place: PartitionPlace,
  { name, level, firstOffset, lastOffset, events, origins }: ArchiveFile,
  count: number,
): Promise<void> {
  const { objects, tables } = context
  const path = await objects.temporaryPath('.parquet')
  const query = `SELECT * FROM read_parquet(${sqlText(await objects.localPath(name))}) WHERE (${key.sql()}) IS NOT TRUE`
  await tables.execute(copyToArchive(query, path, { lastOffset, events: events - count, origins }))
  const thinned = archiveFileName(place, level + 1, firstOffset)
  await objects.createFromFile(thinned, path)
  await recordArchiveHash(context, thinned)
}
