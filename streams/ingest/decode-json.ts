import { isTidemarkError } from '../../features/errors/tidemark-error.ts'
import type { SourcePlan } from '../../features/plan/source-plan.ts'
import type { Column, NumberColumn } from '../../features/values/column.ts'
import { failStream } from '../errors.ts'
import type { EventLine } from './event-lines.ts'
import { createFieldWriter } from './field-writers.ts'
import type { FieldWriter } from './field-writers.ts'

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
export function decodeJson(source: SourcePlan, payloads: readonly EventLine[]): DecodedEvents {
  const writers = source.fields.map((field) => createFieldWriter(field))
  for (const writer of writers) writer.reserve(payloads.length)
  const decoder = new LineDecoder(source, writers)
  const rows: number[] = []
  const refused: RefusedEvent[] = []
  for (let row = 0; row < payloads.length; row++) {
    const refusal = decoder.decode(payloads[row], rows.length)
    if (refusal === null) rows.push(row)
    else refused.push({ row, ...refusal })
  }
  return { rows, ...finishColumns(source, writers, rows.length), refused }
}

/** The columns of the rows that were accepted, and their event times. */
export function finishColumns(
  source: SourcePlan,
  writers: readonly FieldWriter[],
  rows: number,
): Pick<DecodedEvents, 'columns' | 'eventTime'> {
  const columns = writers.map((writer) => writer.finish(rows))
  const eventTime = source.fields.findIndex(({ name }) => name === source.eventTime)
  return { columns, eventTime: (columns[eventTime] as NumberColumn).values.slice() }
}

/** Decodes any one line, by JSON.parse, into a row of columns. */
export class LineDecoder {
  readonly #names: readonly string[]
  /** Every object has a `constructor`: a field of such a name is there only if the event itself has it. */
  readonly #inherited: readonly boolean[]
  readonly #exactIntegers: boolean
  readonly #writers: readonly FieldWriter[]

  constructor(source: SourcePlan, writers: readonly FieldWriter[]) {
    this.#names = source.fields.map(({ name }) => name)
    this.#inherited = this.#names.map((name) => name in Object.prototype)
    this.#exactIntegers = source.fields.some(({ type }) => type.kind === 'int64')
    this.#writers = writers
  }

  /** null, or why it is refused: the row may then be set again. */
  decode(payload: EventLine, row: number): Omit<RefusedEvent, 'row'> | null {
    try {
      if (typeof payload !== 'string') throw failStream('TM_EVENT_NOT_JSON', 'not UTF-8 text')
      const event = parseObject(payload, this.#exactIntegers)
      for (let f = 0; f < this.#writers.length; f++) {
        const isAbsent = this.#inherited[f] && !Object.hasOwn(event, this.#names[f])
        this.#writers[f].set(row, isAbsent ? undefined : event[this.#names[f]])
      }
      return null
    } catch (error) {
      if (!isTidemarkError(error)) throw error
      return { code: error.code, reason: error.message }
    }
  }
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
