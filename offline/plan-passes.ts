import type { EventFile } from './event-files.ts'
import type { RowEntities } from './row-entities.ts'

export interface EntityRange {
  readonly firstEntity: number
  readonly endEntity: number
}

/** Entities whose events are loaded together. */
export interface Pass extends EntityRange {
  /** Files that may hold them. */
  readonly files: readonly EventFile[]
  /** Not more than this many. */
  readonly events: number
}

export interface PassOptions {
  readonly eventsMax: number
  /** Wanted events of some files by entity. */
  readonly count: (range: EntityRange, files: readonly EventFile[]) => Promise<Int32Array>
}

/**
 * Splits all entities into ranges with at most so many events each, keyed partitions first; the events of a partition that holds more are counted, and
 * its entities split. An entity is never split. The last entity, of null keys, has no events.
 */
export async function planPasses(
  files: readonly (readonly EventFile[])[],
  { partitionStart, entities }: RowEntities,
  { eventsMax, count }: PassOptions,
): Promise<Pass[]> {
  const parts: Pass[] = []
  for (const [partition, held] of files.entries()) {
    const range = { firstEntity: partitionStart[partition], endEntity: partitionStart[partition + 1] }
    if (range.firstEntity === range.endEntity) continue
    const events = held.reduce((sum, file) => sum + file.events, 0)
    if (events <= eventsMax) parts.push({ ...range, files: held, events })
    else for (const part of split(range, await count(range, held), eventsMax)) parts.push({ ...part, files: held })
  }
  parts.push({ firstEntity: entities - 1, endEntity: entities, files: [], events: 0 })
  const passes: Pass[] = []
  for (const part of parts) {
    const last = passes.at(-1)
    if (last === undefined || last.events + part.events > eventsMax) passes.push(part)
    else
      passes[passes.length - 1] = {
        firstEntity: last.firstEntity,
        endEntity: part.endEntity,
        files: [...new Set([...last.files, ...part.files])],
        events: last.events + part.events,
      }
  }
  return passes
}

function split(
  { firstEntity, endEntity }: EntityRange,
  counts: Int32Array,
  eventsMax: number,
): (EntityRange & { readonly events: number })[] {
  const ranges: (EntityRange & { readonly events: number })[] = []
  let first = firstEntity
  let events = 0
  for (let entity = firstEntity; entity < endEntity; entity++) {
    if (entity > first && events + counts[entity] > eventsMax) {
      ranges.push({ firstEntity: first, endEntity: entity, events })
      first = entity
      events = 0
    }
    events += counts[entity]
  }
  ranges.push({ firstEntity: first, endEntity, events })
  return ranges
}
