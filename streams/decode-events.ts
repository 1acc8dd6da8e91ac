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
  const keyless = rowsWithoutKey(source, entities, decoded.columns, decoded.rows.length)
  if (keyless.size === 0) return { ...decoded, rows: Int32Array.from(decoded.rows) }
  const refused = [...decoded.refused]
  for (const [i, code] of keyless) refused.push({ row: decoded.rows[i], code, reason: KEY_REASONS[code] })
  const keep = Int32Array.from(decoded.rows.keys()).filter((i) => !keyless.has(i))
  return {
    rows: keep.map((i) => decoded.rows[i]),
    columns: decoded.columns.map((column) => gatherColumn(column, keep)),
    eventTime: gather(decoded.eventTime, keep, new Float64Array(keep.length)),
    refused: refused.sort((a, b) => a.row - b.row),
  }
}
