import type { EntityPlan, SourcePlan } from '../features/plan/source-plan.ts'
import type { Column } from '../features/values/column.ts'
import { gather, gatherColumn } from '../features/values/gather.ts'
import { decodeJson } from './decode-json.ts'
import type { RefusedEvent } from './decode-json.ts'
import type { EventLine } from './event-lines.ts'
import { KEY_REASONS, rowsWithoutKey } from './keyed-append.ts'

export interface DecodedRows {
  /** Rows of the input that were taken in, ascending; the columns hold these alone. */
  readonly rows: Int32Array
  readonly columns: readonly Column[]
  readonly eventTime: Float64Array
  /** The other rows, ascending. */
  readonly refused: readonly RefusedEvent[]
}

/** JSON events of a source, as every path takes them in: against the schema, and with a key for some of the entities that read the source. */
export function decodeEvents(
  source: SourcePlan,
  entities: readonly EntityPlan[],
  payloads: readonly EventLine[],
): DecodedRows {
  const decoded = decodeJson(source, payloads)
  const { rows, columns, eventTime, keyless } = rowsWithKeys(source, entities, {
    ...decoded,
    rows: Int32Array.from(decoded.rows),
  })
  const refused = [...decoded.refused, ...keyless]
  return { rows, columns, eventTime, refused: keyless.length > 0 ? refused.sort((a, b) => a.row - b.row) : refused }
}

/** The rows that have a key for each of the entities, and the others with their code; `rows` are numbers of the caller's. */
export function rowsWithKeys(
  source: SourcePlan,
  entities: readonly EntityPlan[],
  decoded: Omit<DecodedRows, 'refused'>,
): Omit<DecodedRows, 'refused'> & { readonly keyless: readonly RefusedEvent[] } {
  const { rows, columns, eventTime } = decoded
  const found = rowsWithoutKey(source, entities, columns, rows.length)
  if (found.size === 0) return { rows, columns, eventTime, keyless: [] }
  const keep = Int32Array.from(rows.keys()).filter((i) => !found.has(i))
  return {
    rows: keep.map((i) => rows[i]),
    columns: columns.map((column) => gatherColumn(column, keep)),
    eventTime: gather(eventTime, keep, new Float64Array(keep.length)),
    keyless: Array.from(found, ([i, code]) => ({ row: rows[i], code, reason: KEY_REASONS[code] })),
  }
}
