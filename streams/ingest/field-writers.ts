import { createColumnBuilder } from '../../features/kernel/function-results.ts'
import type { FieldPlan, Value } from '../../features/plan/field-type.ts'
import type { Column } from '../../features/values/column.ts'
import { decodeField } from './decode-field.ts'
import { HASH_FACTOR, HASH_START, TextCodes } from './text-codes.ts'
import { parseUtcText } from './utc-time.ts'

/**
 * Decodes one field of many events straight into a column, with code that is chosen once per field. A row may be set again (when another field of its event
 * was refused, the next event takes its place); rows are then cut to those accepted.
 */
export interface FieldWriter {
  /** Makes room for rows 0…rows−1. */
  reserve(rows: number): void
  /** Parsed JSON of the field, undefined where it is absent. Throws what `decodeField` throws. */
  set(row: number, raw: unknown): void
  /** A column of the first `rows` rows; the writer then begins anew. */
  finish(rows: number): Column
}

/** `bytes`: texts are set from bytes too (see `TextWriter`). */
export function createFieldWriter(field: FieldPlan, { bytes = false }: { bytes?: boolean } = {}): FieldWriter {
  switch (field.type.kind) {
    case 'float64':
      return new NumberWriter(field, (raw) => (typeof raw === 'number' && Number.isFinite(raw) ? raw + 0 : NaN))
    case 'timestamp':
      return new NumberWriter(field, (raw) => (typeof raw === 'string' ? parseUtcText(raw) : NaN))
    case 'string':
      return bytes ? new TextWriter(field) : new StringWriter(field)
    default:
      return new ValueWriter(field)
  }
}

/** Shared by the writers of typed columns: which rows are null. */
class NullRows {
  #nulls = new Uint8Array(0)
  #any = false

  reserve(rows: number): void {
    this.#nulls = roomier(this.#nulls, rows)
  }

  set(row: number, isNull: boolean): void {
    this.#nulls[row] = isNull ? 1 : 0
    if (isNull) this.#any = true
  }

  finish(rows: number): Uint8Array | null {
    const nulls = this.#any ? this.#nulls.slice(0, rows) : null
    this.#any = false
    return nulls?.includes(1) === true ? nulls : null
  }
}

/** float64 and timestamp. */
export class NumberWriter implements FieldWriter {
  readonly #field: FieldPlan
  #values = new Float64Array(0)
  readonly #nulls = new NullRows()
  readonly #fast: (raw: unknown) => number

  /** `fast` gives the value of what it knows, NaN for anything else, which `decodeField` then decides. */
  constructor(field: FieldPlan, fast: (raw: unknown) => number) {
    this.#field = field
    this.#fast = fast
  }

  reserve(rows: number): void {
    this.#values = roomier(this.#values, rows)
    this.#nulls.reserve(rows)
  }

  set(row: number, raw: unknown): void {
    const known = this.#fast(raw)
    const value = Number.isNaN(known) ? decodeField(this.#field, raw) : known
    this.#nulls.set(row, value === null)
    this.#values[row] = value === null ? 0 : Number(value)
  }

  /** A number that is known to be a value of the field. */
  setNumber(row: number, value: number): void {
    this.#nulls.set(row, false)
    this.#values[row] = value + 0
  }

  finish(rows: number): Column {
    const { type } = this.#field
    return { storage: 'number', type, values: this.#values.slice(0, rows), nulls: this.#nulls.finish(rows) }
  }
}

class StringWriter implements FieldWriter {
  readonly #field: FieldPlan
  #codes = new Int32Array(0)
  readonly #nulls = new NullRows()
  #dictionary: string[] = []
  readonly #codeOf = new Map<string, number>()

  constructor(field: FieldPlan) {
    this.#field = field
  }

  reserve(rows: number): void {
    this.#codes = roomier(this.#codes, rows)
    this.#nulls.reserve(rows)
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
    const column = { codes: this.#codes.slice(0, rows), dictionary: this.#dictionary, nulls: this.#nulls.finish(rows) }
    this.#dictionary = []
    this.#codeOf.clear()
    return { storage: 'string', type: this.#field.type, ...column }
  }
}

/** Strings that come as UTF-8 bytes: those that came before are known by their bytes, in later batches too. A column's dictionary holds those of its batch alone. */
export class TextWriter implements FieldWriter {
  readonly #field: FieldPlan
  #codes = new Int32Array(0)
  readonly #nulls = new NullRows()
  readonly #known = new TextCodes()
  #dictionary: string[] = []
  /** By number in `#known`: the batch in which the text was seen last, and its code there. */
  #seenIn = new Int32Array(0)
  #codeInBatch = new Int32Array(0)
  #batch = 1

  constructor(field: FieldPlan) {
    this.#field = field
  }

  reserve(rows: number): void {
    this.#codes = roomier(this.#codes, rows)
    this.#nulls.reserve(rows)
  }

  set(row: number, raw: unknown): void {
    const value = decodeField(this.#field, raw)
    if (value !== null) {
      const bytes = Buffer.from(value as string)
      let hash = HASH_START
      for (const byte of bytes) hash = Math.imul(hash ^ byte, HASH_FACTOR)
      return this.setText(row, bytes, 0, bytes.length, hash)
    }
    this.#nulls.set(row, true)
    this.#codes[row] = 0
  }

  /** A text by its bytes from…to−1 (valid UTF-8) and their hash (see `TextCodes`). */
  setText(row: number, bytes: Buffer, from: number, to: number, hash: number): void {
    const known = this.#known.codeOf(bytes, from, to, hash)
    if (known >= this.#seenIn.length) {
      this.#seenIn = roomier(this.#seenIn, known + 1)
      this.#codeInBatch = roomier(this.#codeInBatch, known + 1)
    }
    if (this.#seenIn[known] !== this.#batch) {
      this.#seenIn[known] = this.#batch
      this.#codeInBatch[known] = this.#dictionary.push(this.#known.texts[known]) - 1
    }
    this.#nulls.set(row, false)
    this.#codes[row] = this.#codeInBatch[known]
  }

  finish(rows: number): Column {
    const column = { codes: this.#codes.slice(0, rows), dictionary: this.#dictionary, nulls: this.#nulls.finish(rows) }
    this.#dictionary = []
    this.#batch++
    this.#known.trim()
    return { storage: 'string', type: this.#field.type, ...column }
  }
}

class ValueWriter implements FieldWriter {
  readonly #field: FieldPlan
  #values: Value[] = []

  constructor(field: FieldPlan) {
    this.#field = field
  }

  reserve(): void {}

  set(row: number, raw: unknown): void {
    this.#values[row] = decodeField(this.#field, raw)
  }

  finish(rows: number): Column {
    const builder = createColumnBuilder(this.#field.type, rows)
    for (let row = 0; row < rows; row++) builder.set(row, this.#values[row])
    this.#values = []
    const column = builder.finish()
    return column.nulls !== null && column.nulls.includes(1) ? column : { ...column, nulls: null }
  }
}

/** An array of at least `length`, with the old contents in front. */
function roomier<A extends Float64Array | Int32Array | Uint8Array>(array: A, length: number): A {
  if (array.length >= length) return array
  const wider = new (array.constructor as new (length: number) => A)(Math.max(length, 2 * array.length))
  wider.set(array)
  return wider
}
