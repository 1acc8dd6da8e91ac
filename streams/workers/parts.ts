import { sourceLogName } from '../../features/plan/source-plan.ts'
import { usedSources } from '../stream-context.ts'
import type { StreamContext } from '../stream-context.ts'
import type { Part } from './assign-parts.ts'
import { COMPACTION, FILLS, keyedPart, PARKED_VIEWS, SCHEDULED_IMPORTS, sourcePart } from './ownership.ts'

/** Everything that stream workers divide among them. */
export async function streamParts(context: StreamContext): Promise<Part[]> {
  const sources = (await usedSources(context)).map((source) => sourcePart(sourceLogName(source)))
  return [...(await keyedParts(context)), ...sources, FILLS, PARKED_VIEWS]
}

/** Everything that archive workers divide among them. */
export async function archiveParts(context: StreamContext): Promise<Part[]> {
  return [...(await keyedParts(context)), COMPACTION, SCHEDULED_IMPORTS]
}

async function keyedParts({ registry, partitions }: StreamContext): Promise<Part[]> {
  const keyedLogs = await registry.keyedLogs()
  return keyedLogs.flatMap(({ name }) => Array.from({ length: partitions }, (_, i) => keyedPart(name, i)))
}
