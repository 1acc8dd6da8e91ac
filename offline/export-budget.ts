import { totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'

const MIB = 2 ** 20
/** Of the process and its threads before they hold data, and of row groups on their way. */
const FIXED_BYTES = 320 * MIB
/** Per spine row: its time, its entity, its place among its entity's. */
const ROW_BYTES = 24
const EVENT_SHARE = 0.45
const RESULT_SHARE = 0.25
/** Less than this is never worth another pass over the archive. */
const EVENT_BYTES_MIN = 48 * MIB

/** Bytes that an export holds at once of what grows with its input. The results do not depend on it. */
export interface ExportBudget {
  readonly eventBytes: number
  /** Results beyond this go to a file beside the output. */
  readonly resultBytes: number
}

/** Half of the memory that this process may use. */
export function defaultMemoryBytes(): number {
  const constrained = constrainedMemory()
  return Math.min(totalmem(), constrained > 0 ? constrained : Infinity) / 2
}

/** `memoryBytes`: what the whole process should stay within. Times and entities of all spine rows are held whatever it is. */
export function exportBudget(memoryBytes: number, rows: number): ExportBudget {
  const free = Math.max(0, memoryBytes - FIXED_BYTES - ROW_BYTES * rows)
  return { eventBytes: Math.max(EVENT_BYTES_MIN, EVENT_SHARE * free), resultBytes: RESULT_SHARE * free }
}
