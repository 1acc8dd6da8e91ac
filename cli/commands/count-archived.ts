import { archiveFiles } from '../../stores/tables/archive-files.ts'
import type { Project } from '../open-project.ts'

/** Archived events of a keyed log (`<source>.<entity>`), from the files' footers; null where the log does not exist yet. What a backfill reads, but for the tail. */
export async function countArchived({ log, objects, tables }: Project, keyedLog: string): Promise<number | null> {
  const topic = await log.topic(`keyed.${keyedLog}`)
  if (topic === null) return null
  let events = 0
  for (let partition = 0; partition < topic.partitions; partition++) {
    const place = { keyedLog, incarnation: topic.incarnation, partition }
    for (const file of await archiveFiles({ objects, tables }, place)) events += file.events
  }
  return events
}
