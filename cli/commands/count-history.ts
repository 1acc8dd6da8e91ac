import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { ViewPlan } from '../../features/plan/view-plan.ts'
import type { PlanEstimate } from '../../registry/plan-report.ts'
import { keyedLogName } from '../../registry/keyed-logs.ts'
import { archiveFiles } from '../../stores/tables/archive-files.ts'
import { otherDonors } from '../../streams/feeds/source-feeds.ts'
import { keyedTopic } from '../../streams/stream-context.ts'
import type { Project } from '../open-project.ts'

/** What a new version of a view has to read before it can serve, by the footers of archive files (the tail is left out); null: its source has no history. */
export async function countHistory(project: Project, { source, entity }: ViewPlan): Promise<PlanEstimate | null> {
  const own = await countArchived(project, keyedLogName(source, entity))
  if (own > 0) return { events: own, how: 'replay' }
  const donors = [source, ...(await otherDonors(project, source))]
  const fill = Math.max(...(await Promise.all(donors.map(async (donor) => mostArchived(project, donor)))))
  if (fill > 0) return { events: fill, how: 'fill' }
  if (source.version === undefined) return null
  const versions = await project.registry.sourceVersions(source.name)
  const again = Math.max(0, ...(await Promise.all(versions.map(async (other) => mostArchived(project, other)))))
  return again === 0 ? null : { events: again, how: 'read-again' }
}

/** Of the fullest keyed log of a source version. */
async function mostArchived(project: Project, source: SourcePlan): Promise<number> {
  const prefix = keyedTopic(`${sourceLogName(source)}.`)
  let most = 0
  for (const { name } of await project.log.listTopics())
    if (name.startsWith(prefix) && !name.includes('.', prefix.length))
      most = Math.max(most, await countArchived(project, name.slice(keyedTopic('').length)))
  return most
}

async function countArchived({ log, objects, tables }: Project, keyedLog: string): Promise<number> {
  const topic = await log.topic(keyedTopic(keyedLog))
  let events = 0
  for (let partition = 0; topic !== null && partition < topic.partitions; partition++) {
    const place = { keyedLog, incarnation: topic.incarnation, partition }
    for (const file of await archiveFiles({ objects, tables }, place)) events += file.events
  }
  return events
}
