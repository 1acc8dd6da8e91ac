import { totalmem } from 'node:os'
import { constrainedMemory } from 'node:process'
import { canonicalJson } from '../features/plan/canonical-json.ts'
import type { FieldType } from '../features/plan/field-type.ts'
import { COLUMN_STORAGE } from '../features/values/column.ts'
import { failOffline } from './errors.ts'
import type { ExportPlan } from './export-plan.ts'
import type { AsOf } from './manifest.ts'

const MIB = 2 ** 20
/** Of the process and its threads before they hold data, and of row groups on their way. */
const FIXED_BYTES = 320 * MIB
/** Row numbers are 32-bit integers. */
const ROWS_MAX = 2 ** 31 - 1
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

/** Bytes that are held for each spine row, whatever the memory: its time, its entity of each kind, its place among its entity's, its request fields. */
export function rowBytes({ service, views }: ExportPlan, asOf: AsOf): number {
  const entities = new Set(views.map(({ plan }) => canonicalJson(plan.entity))).size
  const request = service.plan.request.reduce((sum, { type }) => sum + fieldBytes(type), 0)
  // By the served clock also when it was evaluated, and by view what it saw.
  const served = asOf === 'served' ? 8 * (1 + views.length) : 0
  return 16 + 4 * entities + request + served
}

/** TM_SPINE_TOO_LARGE where a spine's rows cannot be held, with the memory that they need. */
export function refuseLargeSpine(
  spine: { readonly path: string; readonly rows: number },
  held: number,
  memoryBytes: number,
): void {
  const { path, rows } = spine
  const needed = held * rows
  const room = memoryBytes - FIXED_BYTES - EVENT_BYTES_MIN
  // Of little memory nearly all is fixed: a small spine is not what it lacks.
  if (rows <= ROWS_MAX && needed <= Math.max(room, memoryBytes / 4)) return
  const raise =
    rows > ROWS_MAX
      ? ''
      : `raise --memory to ${Math.ceil((needed + FIXED_BYTES + EVENT_BYTES_MIN) / 1e8) / 10}GB at least, or `
  throw failOffline(
    'TM_SPINE_TOO_LARGE',
    `${path} has ${rows} rows, whose times, keys and request fields take ${held} bytes each in memory; the export may use ${Math.floor(memoryBytes / MIB)} MiB: ${raise}split the spine by rows into several exports`,
    { details: { path, rows, bytes: needed, memoryBytes } },
  )
}

function fieldBytes(type: FieldType): number {
  switch (COLUMN_STORAGE[type.kind]) {
    case 'bool':
      return 2
    case 'string':
      return 5
    case 'bytes':
      return 64
    case 'vector':
      return 1 + 4 * (type.kind === 'vector' ? type.length : 0)
    default:
      return 9
  }
}

/** `memoryBytes`: what the whole process should stay within; `heldBytes`: what all spine rows and their keys take of it. */
export function exportBudget(memoryBytes: number, heldBytes: number): ExportBudget {
  const free = Math.max(0, memoryBytes - FIXED_BYTES - heldBytes)
  return { eventBytes: Math.max(EVENT_BYTES_MIN, EVENT_SHARE * free), resultBytes: RESULT_SHARE * free }
}
