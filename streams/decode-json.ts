import { isTidemarkError } from '../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../features/plan/source-plan.ts'
import type { Column, NumberColumn } from '../features/values/column.ts'
import { failStream } from './errors.ts'
import { createFieldWriter } from './field-writers.ts'

export interface RefusedEvent {
  /** Row in the input. */
  readonly row: number
  readonly code: string
  readonly reason: string
}

export interface DecodedEvents {
  /** Rows of the input that were accepted, ascending. */
  readonly rows: number[]
  readonly columns: readonly Column[]
  readonly eventTime: Float64Array
  readonly refused: readonly RefusedEvent[]
}

/** Decodes JSON events against a source's schema. Each bad event is refused on its own, with a code. */
export function decodeJson(source: SourcePlan, payloads: readonly string[]): DecodedEvents {
  const exactIntegers = source.fields.some(({ type }) => type.kind === 'int64')
  const names = source.fields.map(({ name }) => name)
  const writers = source.fields.map((field) => createFieldWriter(field, payloads.length))
  // Every object has a `constructor`: a field of such a name is there only if the event itself has it.
  const inherited = names.map((name) => name in Object.prototype)
  const rows: number[] = []
  const refused: RefusedEvent[] = []
  for (let row = 0; row < payloads.length; row++) {
    try {
      const event = parseObject(payloads[row], exactIntegers)
      for (let f = 0; f < writers.length; f++) {
        const isAbsent = inherited[f] && !Object.hasOwn(event, names[f])
        writers[f].set(rows.length, isAbsent ? undefined : event[names[f]])
      }
      rows.push(row)
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      refused.push({ row, code: error.code, reason: error.message })
    }
  }
  const columns = writers.map((writer) => writer.finish(rows.length))
  const { values } = columns[names.indexOf(source.eventTime)] as NumberColumn
  return { rows, columns, eventTime: values.slice(), refused }
}

function parseObject(payload: string, exactIntegers: boolean): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = exactIntegers
      ? (JSON.parse(payload, keepDigits as (key: string, value: unknown) => unknown) as unknown)
      : (JSON.parse(payload) as unknown)
  } catch (error) {
    throw failStream('TM_EVENT_NOT_JSON', `not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw failStream('TM_EVENT_NOT_JSON', 'expected a JSON object')
  return parsed as Readonly<Record<string, unknown>>
}

/** Integers beyond ±2^53 keep all their digits, as bigint. */
function keepDigits(_key: string, value: unknown, context: { readonly source: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
}
