import { createColumnBuilder } from '../features/kernel/function-results.ts'
import type { FieldPlan, Value } from '../features/plan/field-type.ts'
import type { Column } from '../features/values/column.ts'
import { decodeField } from './decode-field.ts'

/**
 * Decodes one field of many events straight into a column, with code that is chosen once per field. A row may be set again (when another field of its event
 * was refused, the next event takes its place); rows are then cut to those accepted.
 */
export interface FieldWriter {
  /** Parsed JSON of the field, undefined where it is absent. Throws what `decodeField` throws. */
  set(row: number, raw: unknown): void
  /** A column of the first `rows` rows. */
  finish(rows: number): Column
}

export function createFieldWriter(field: FieldPlan, rowsMax: number): FieldWriter {
  switch (field.type.kind) {
    case 'float64':
      return new NumberWriter(field, rowsMax, (raw) =>
        typeof raw === 'number' && Number.isFinite(raw) ? raw + 0 : NaN,
      )
    case 'timestamp':
      return new NumberWriter(field, rowsMax, (raw) => (typeof raw === 'string' ? parseUtcMilliseconds(raw) : NaN))
    case 'string':
      return new StringWriter(field, rowsMax)
    default:
      return new ValueWriter(field)
  }
}

/** Shared by the writers of typed columns: which rows are null. */
class NullRows {
  readonly #nulls: Uint8Array
  #any = false

  constructor(rowsMax: number) {
    this.#nulls = new Uint8Array(rowsMax)
  }

  set(row: number, isNull: boolean): void {
    this.#nulls[row] = isNull ? 1 : 0
    if (isNull) this.#any = true
  }

  finish(rows: number): Uint8Array | null {
    const nulls = this.#any ? this.#nulls.slice(0, rows) : null
    return nulls?.includes(1) === true ? nulls : null
  }
}

class NumberWriter implements FieldWriter {
  readonly #field: FieldPlan
  readonly #values: Float64Array
  readonly #nulls: NullRows
  readonly #fast: (raw: unknown) => number

  /** `fast` gives the value of what it knows, NaN for anything else, which `decodeField` then decides. */
  constructor(field: FieldPlan, rowsMax: number, fast: (raw: unknown) => number) {
    this.#field = field
    this.#values = new Float64Array(rowsMax)
    this.#nulls = new NullRows(rowsMax)
    this.#fast = fast
  }

  set(row: number, raw: unknown): void {
    const known = this.#fast(raw)
    const value = Number.isNaN(known) ? decodeField(this.#field, raw) : known
    this.#nulls.set(row, value === null)
    this.#values[row] = value === null ? 0 : Number(value)
  }

  finish(rows: number): Column {
    const { type } = this.#field
    return { storage: 'number', type, values: this.#values.slice(0, rows), nulls: this.#nulls.finish(rows) }
  }
}

class StringWriter implements FieldWriter {
  readonly #field: FieldPlan
  readonly #codes: Int32Array
  readonly #nulls: NullRows
  readonly #dictionary: string[] = []
  readonly #codeOf = new Map<string, number>()

  constructor(field: FieldPlan, rowsMax: number) {
    this.#field = field
    this.#codes = new Int32Array(rowsMax)
    this.#nulls = new NullRows(rowsMax)
  }

  set(row: number, raw: unknown): void {
    let code = typeof raw === 'string' ? this.#codeOf.get(raw) : undefined
    if (code === undefined) {
      const value = decodeField(this.#field, raw)
      this.#nulls.set(row, value === null)
      if (value === null) {
        this.#codes[row] = 0
        return
      }
      code = this.#dictionary.push(value as string) - 1
      this.#codeOf.set(value as string, code)
    } else this.#nulls.set(row, false)
    this.#codes[row] = code
  }

  finish(rows: number): Column {
    const codes = this.#codes.slice(0, rows)
    const { type } = this.#field
    return { storage: 'string', type, codes, dictionary: this.#dictionary, nulls: this.#nulls.finish(rows) }
  }
}

class ValueWriter implements FieldWriter {
  readonly #field: FieldPlan
  readonly #values: Value[] = []

  constructor(field: FieldPlan) {
    this.#field = field
  }

  set(row: number, raw: unknown): void {
    this.#values[row] = decodeField(this.#field, raw)
  }

  finish(rows: number): Column {
    const builder = createColumnBuilder(this.#field.type, rows)
    for (let row = 0; row < rows; row++) builder.set(row, this.#values[row])
    const column = builder.finish()
    return column.nulls !== null && column.nulls.includes(1) ? column : { ...column, nulls: null }
  }
}

/** `YYYY-MM-DDTHH:MM:SS.mmmZ` of years 1970 to 2399 as epoch ms, what Date.parse gives; NaN for every other text. */
function parseUtcMilliseconds(text: string): number {
  if (text.length !== 24 || text[4] !== '-' || text[7] !== '-' || text[10] !== 'T') return NaN
  if (text[13] !== ':' || text[16] !== ':' || text[19] !== '.' || text[23] !== 'Z') return NaN
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 7)
  const day = digits(text, 8, 10)
  const hour = digits(text, 11, 13)
  const minute = digits(text, 14, 16)
  const second = digits(text, 17, 19)
  const millisecond = digits(text, 20, 23)
  // Days 29 to 31 depend on the month, an hour of 24 on the rest: those few are left to Date.parse. Every comparison is false with NaN.
  if (!(year >= 1970 && year < 2400 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) return NaN
  if (!(hour < 24 && minute < 60 && second < 60)) return NaN
  return dayNumber(year, month, day) * 86_400_000 + hour * 3_600_000 + minute * 60_000 + second * 1000 + millisecond
}

/** NaN where a character is no digit. */
function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return NaN
    value = value * 10 + digit
  }
  return value
}

/** Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that a leap day is a year's last (Hinnant, "chrono-compatible low-level date algorithms"). */
function dayNumber(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const monthFromMarch = month > 2 ? month - 3 : month + 9
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + day - 1
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468
}
