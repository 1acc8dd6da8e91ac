import type { EntityPlan, SourcePlan } from '../../features/plan/source-plan.ts'
import type { Column } from '../../features/values/column.ts'
import type { SchemaRegistry } from '../../stores/schemas/schema-registry.ts'
import { gather, gatherColumn } from '../../features/values/gather.ts'
import type { RefusedEvent } from './decode-json.ts'
import { decodePayloads } from './event-decoder.ts'
import type { EventLine } from './event-lines.ts'
import { describeTooLarge, rowsTooLarge } from './event-size.ts'
import { KEY_REASONS, rowsWithoutKey } from './keyed-append.ts'

export interface DecodedRows {
  /** Rows of the input that were taken in, ascending; the columns hold these alone. */
  readonly rows: Int32Array
  readonly columns: readonly Column[]
  readonly eventTime: Float64Array
  /** The other rows, ascending. */
  readonly refused: readonly RefusedEvent[]
}

/**
 * Events of a source, as every path takes them in: against the schema, with a key for some of the entities that read the source, and none too large for a message. No
 * limit where it was decided before what they are. TM_SCHEMA_REGISTRY_UNAVAILABLE.
 */
export async function decodeEvents(
  rules: Omit<RowRules, 'messageBytesMax'> & { readonly messageBytesMax?: number },
  payloads: readonly EventLine[],
  schemas: SchemaRegistry | null = null,
): Promise<DecodedRows> {
  const { source, entities, messageBytesMax = Infinity } = rules
  const decoded = await decodePayloads(source, payloads, schemas)
  const all = { ...decoded, rows: Int32Array.from(decoded.rows) }
  const { rows, columns, eventTime, unfit } = fittingRows({ source, entities, messageBytesMax }, all)
  const refused = [...decoded.refused, ...unfit]
  return { rows, columns, eventTime, refused: unfit.length > 0 ? refused.sort((a, b) => a.row - b.row) : refused }
}

export interface RowRules {
  readonly source: SourcePlan
  readonly entities: readonly EntityPlan[]
  readonly messageBytesMax: number
}

/** The rows that fit into a message and have a key for one of the entities, and the others with their code; `rows` are numbers of the caller's. */
export function fittingRows(
  rules: RowRules,
  decoded: Omit<DecodedRows, 'refused'>,
): Omit<DecodedRows, 'refused'> & { readonly unfit: readonly RefusedEvent[] } {
  const { rows, columns, eventTime } = decoded
  const found = unfitRows(rules, columns, rows.length)
  if (found.size === 0) return { rows, columns, eventTime, unfit: [] }
  const keep = Int32Array.from(rows.keys()).filter((i) => !found.has(i))
  return {
    rows: keep.map((i) => rows[i]),
    columns: columns.map((column) => gatherColumn(column, keep)),
    eventTime: gather(eventTime, keep, new Float64Array(keep.length)),
    unfit: Array.from(found, ([i, why]) => ({ row: rows[i], ...why })),
  }
}

/** Size comes first: an event that is too large has no other fault, so that no fill takes it in as one that lacked a key alone. */
export function unfitRows(
  { source, entities, messageBytesMax }: RowRules,
  columns: readonly Column[],
  length: number,
): Map<number, { code: string; reason: string }> {
  const found = new Map<number, { code: string; reason: string }>()
  for (const [row, code] of rowsWithoutKey(source, entities, columns, length))
    found.set(row, { code, reason: KEY_REASONS[code] })
  for (const [row, bytes] of rowsTooLarge(columns, length, messageBytesMax))
    found.set(row, { code: 'TM_EVENT_TOO_LARGE', reason: describeTooLarge(bytes, messageBytesMax) })
  return found
}
