import { canonicalJson } from '../../features/plan/canonical-json.ts'
import { sourceLogName } from '../../features/plan/source-plan.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { readIngestCheckpoint, writeIngestCheckpoint } from '../ingest/ingest-checkpoint.ts'
import type { IngestCheckpoint, RulesFrom } from '../ingest/ingest-checkpoint.ts'
import type { StreamContext } from '../stream-context.ts'

/*
 * While a source version takes over what others have, those go on reading the topic, and it reads the same records later: its added columns are in them. By then the
 * definitions may allow what they refused, or the other way round. What is an event and what a letter must not depend on how long it took: so each record is judged
 * by the plan of the new version that was registered when the furthest version came to it, as if the new version had been that one. Its checkpoint holds where which plan began.
 */

/** A plan of this source version as it is registered now. */
async function registeredPlan({ registry }: StreamContext, source: SourcePlan): Promise<SourcePlan> {
  const registered = (await registry.sources()).find((other) => sourceLogName(other) === sourceLogName(source))
  return registered ?? source
}

/** From a record on, what is registered now. */
export async function rulesFrom(context: StreamContext, source: SourcePlan, offset: number): Promise<RulesFrom> {
  return { offset, source: await registeredPlan(context, source) }
}

/**
 * Notes in the checkpoint of a version that others are ahead of what is registered now, if that is another plan than before. Called before any of them reads on. The
 * checkpoint without rules: it has caught up, what it reads next is read by it first.
 */
export async function keepRules(
  context: StreamContext,
  source: SourcePlan,
  partition: number,
  held: IngestCheckpoint,
): Promise<IngestCheckpoint> {
  const { rules, ...caughtUp } = held
  if (rules === undefined) return held
  const furthest = await furthestOffset(context, source, partition, held)
  const newest = rules.at(-1)
  if (held.isTakingOver !== true && held.nextOffset >= furthest) return caughtUp
  const now = await rulesFrom(context, source, furthest)
  if (newest !== undefined && canonicalJson(newest.source) === canonicalJson(now.source)) return held
  const kept: IngestCheckpoint = { ...held, rules: [...rules.filter(({ offset }) => offset < furthest), now] }
  await writeIngestCheckpoint(context, { source: sourceLogName(source), partition }, kept)
  return kept
}

/** Where the furthest version of a source stands in a partition of its topic. */
async function furthestOffset(
  context: StreamContext,
  source: SourcePlan,
  partition: number,
  own: IngestCheckpoint,
): Promise<number> {
  let furthest = own.nextOffset
  for (const name of new Set((await context.registry.sourceVersions(source.name)).map(sourceLogName))) {
    const held = await readIngestCheckpoint(context, { source: name, partition })
    if (held?.incarnation === own.incarnation) furthest = Math.max(furthest, held.nextOffset)
  }
  return furthest
}

/** By which plan the next records are judged, and which is the first that another one judges (Infinity: none). */
export function rulesAt(
  { rules = [], nextOffset }: IngestCheckpoint,
  registered: SourcePlan,
): { readonly source: SourcePlan; readonly until: number } {
  const source = rules.findLast(({ offset }) => offset <= nextOffset)?.source ?? registered
  return { source, until: rules.find(({ offset }) => offset > nextOffset)?.offset ?? Infinity }
}
