import type { Part } from './assign-parts.ts'

/** Which parts of a role's work this process does. Asked again at every step. */
export interface Ownership {
  owns(part: Part): boolean
}

/** Of a process that works alone. */
export const OWNS_ALL: Ownership = { owns: () => true }

/** Work that one worker does for all keyed logs. What comes before the colon is the group (see `assignParts`). */
export const FILLS: Part = 'streams:fills/0'
export const PARKED_VIEWS: Part = 'streams:parked-views/0'
export const COMPACTION: Part = 'archive:compaction/0'
export const SCHEDULED_IMPORTS: Part = 'archive:scheduled-imports/0'

/** Of apply in one group of workers, of archive in another. */
export const keyedPart = (keyedLog: string, partition: number): Part => `${keyedLog}/${partition}`
/** All partitions of a source, by its `sourceLogName`: a log may let one producer of a source append at a time. */
export const sourcePart = (source: string): Part => `source.${source}/0`

/** The part that a stopped partition, `<topic or keyed log>/<number>`, is of. */
export function partOf(stopped: string): Part {
  return stopped.startsWith('source.') ? stopped.replace(/\/\d+$/, '/0') : stopped
}
