import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { ViewPlan } from '../features/plan/view-plan.ts'
import { compileProject } from '../registry/compile-project.ts'
import { failStream } from './errors.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

/**
 * Refuses definitions that the stored history does not fit: a source with history whose columns or event time change (TM_SOURCE_CHANGED: its blocks and
 * archive could not be read), and a view that keys such a source by an entity it was never keyed by (TM_ENTITY_WITHOUT_HISTORY: its features would silently
 * lack everything before now).
 */
export async function refuseWithoutHistory(context: StreamContext, projectDir: string): Promise<void> {
  const { log, registry } = context
  const topics = await log.listTopics()
  const filled: string[] = []
  for (const { name, partitions } of topics.filter((topic) => topic.name.startsWith(keyedTopic('')))) {
    const ends = await Promise.all(Array.from({ length: partitions }, (_, partition) => log.endOffset(name, partition)))
    if (ends.some((end) => end > 0)) filled.push(name)
  }
  if (filled.length === 0) return
  const registered = new Map((await registry.sources()).map((source) => [source.name, source]))
  const keyedBy = (source: string): string[] => {
    const prefix = keyedTopic(`${source}.`)
    return filled.filter((topic) => topic.startsWith(prefix)).map((topic) => topic.slice(prefix.length))
  }
  for (const { kind, name, plan } of await compileProject(projectDir)) {
    if (kind === 'source' && keyedBy(name).length > 0) refuseChange(registered.get(name), plan as SourcePlan)
    if (kind !== 'view') continue
    const { source, entity } = plan as ViewPlan
    const entities = keyedBy(source.name)
    const exists = topics.some((topic) => topic.name === keyedTopic(`${source.name}.${entity.name}`))
    if (exists || entities.length === 0) continue
    throw failStream(
      'TM_ENTITY_WITHOUT_HISTORY',
      `view ${name} reads ${source.name} by ${entity.name}, but the history of ${source.name} is kept by ${entities.join(', ')} only, and this version cannot carry it over: apply the view in a fresh data folder and import the history there, or read a source of another name`,
      { details: { view: name, source: source.name, entity: entity.name, keyedBy: entities } },
    )
  }
}

function refuseChange(before: SourcePlan | undefined, after: SourcePlan): void {
  if (before === undefined || layoutOf(before) === layoutOf(after)) return
  throw failStream(
    'TM_SOURCE_CHANGED',
    `the columns, their types or the event time of source ${after.name} would change, but its history is stored as they are, and this version keeps one layout for a source: declare the new one under another name, or apply it in a fresh data folder`,
    { details: { source: after.name } },
  )
}

/** What stored events of a source depend on. */
function layoutOf({ fields, eventTime }: SourcePlan): string {
  return canonicalJson([eventTime, fields.map(({ name, type }) => [name, type])])
}
