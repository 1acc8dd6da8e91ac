import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import { compileProject } from '../registry/compile-project.ts'
import { failStream } from './errors.ts'
import { keyedTopic } from './stream-context.ts'
import type { StreamContext } from './stream-context.ts'

/** Refuses a source with history whose columns or event time change (TM_SOURCE_CHANGED): its blocks and archive could not be read. */
export async function refuseChangedSource(context: StreamContext, projectDir: string): Promise<void> {
  const { log, registry } = context
  const topics = await log.listTopics()
  const filled = new Set<string>()
  for (const { name, partitions } of topics.filter((topic) => topic.name.startsWith(keyedTopic('')))) {
    const ends = await Promise.all(Array.from({ length: partitions }, (_, partition) => log.endOffset(name, partition)))
    if (ends.some((end) => end > 0)) filled.add(name.split('.')[1])
  }
  if (filled.size === 0) return
  const registered = new Map((await registry.sources()).map((source) => [source.name, source]))
  for (const { kind, name, plan } of await compileProject(projectDir))
    if (kind === 'source' && filled.has(name)) refuseChange(registered.get(name), plan as SourcePlan)
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
