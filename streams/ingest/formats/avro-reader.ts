import { isUtf8 } from 'node:buffer'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { FieldPlan } from '../../../features/plan/field-type.ts'
import type { AvroField, AvroRecord, AvroType } from '../../../stores/schemas/avro-schema.ts'
import { NoValue } from '../decode-field.ts'
import { NumberWriter, TextWriter } from '../field-writers.ts'
import type { FieldWriter } from '../field-writers.ts'
import { HASH_FACTOR, HASH_START } from '../text-codes.ts'
import { AvroCursor, malformed } from './avro-cursor.ts'
import { avroDefault } from './avro-default.ts'
import { avroValue, timeDivisor } from './avro-value.ts'
import type { ValueReader } from './avro-value.ts'

/** Reads the writer's next field into a row of its column, or over it. */
type Step = (row: number) => void

interface Read {
  /** Number of the column; −1: the field is not read. */
  readonly column: number
  readonly step: Step
  /** What `decodeField` takes. */
  readonly value: () => unknown
}

/** Reads events of one writer's schema into columns: compiled once, then each field goes from the bytes to its column, and what no column needs is passed over. */
export class AvroReader {
  readonly #cursor = new AvroCursor()
  readonly #writers: readonly FieldWriter[]
  readonly #reads: readonly Read[]
  /** Columns that the writer's schema has no field for, and what they then are. */
  readonly #absent: readonly { readonly column: number; readonly value: unknown }[]

  /** `reader`: a schema whose names, aliases and defaults say which field of the writer a column is; null: the field of its name. */
  constructor(
    fields: readonly FieldPlan[],
    writers: readonly FieldWriter[],
    schema: AvroRecord,
    reader: AvroRecord | null,
  ) {
    this.#writers = writers
    const asked = fields.map(({ name }) => reader?.fields.find((field) => field.name === name) ?? null)
    const written = fields.map(({ name }, i) =>
      writersField(schema, name, reader === null ? [] : (asked[i]?.aliases ?? [])),
    )
    this.#reads = schema.fields.map((field) => {
      const column = written.indexOf(field)
      if (column < 0)
        return { column, step: () => this.#cursor.skip(field.type), value: () => this.#cursor.skip(field.type) }
      const value = avroValue(this.#cursor, field.type, fields[column].type, asked[column]?.type ?? null)
      const step = this.#step(field.type, { plan: fields[column], writer: writers[column] }, value)
      return { column, step, value }
    })
    this.#absent = fields.flatMap(({ type }, column) =>
      written[column] === null ? [{ column, value: avroDefault(asked[column], type) }] : [],
    )
  }

  /** Of two faults the bytes' own comes first, then the first field's in the order of the definition. */
  read(record: Buffer, from: number, row: number): void {
    this.#cursor.open(record, from)
    try {
      for (const { step } of this.#reads) step(row)
      for (const { column, value } of this.#absent) this.#writers[column].set(row, value)
    } catch (error) {
      if (!isTidemarkError(error) || error.code === 'TM_EVENT_MALFORMED') throw error
      this.#readInOrder(record, from, row)
    }
    if (this.#cursor.left > 0) throw malformed(`${this.#cursor.left} bytes follow the event`)
  }

  #readInOrder(record: Buffer, from: number, row: number): void {
    this.#cursor.open(record, from)
    const values: unknown[] = []
    for (const { column, value } of this.#reads) values[column < 0 ? this.#writers.length : column] = value()
    if (this.#cursor.left > 0) throw malformed(`${this.#cursor.left} bytes follow the event`)
    for (const { column, value } of this.#absent) values[column] = value
    this.#writers.forEach((writer, column) => writer.set(row, values[column]))
  }

  /** Code chosen once per field; numbers and texts of the usual kinds go to their column without becoming a value in between. */
  #step(type: AvroType, to: { readonly plan: FieldPlan; readonly writer: FieldWriter }, value: ValueReader): Step {
    const { plan, writer } = to
    const cursor = this.#cursor
    if (type.kind === 'union') {
      const branches = type.branches.map((branch) => this.#step(branch, to, value.branch(branch)))
      return (row) => branches[cursor.choice(branches.length)](row)
    }
    if (writer instanceof TextWriter && type.kind === 'string') return textStep(cursor, writer)
    if (!(writer instanceof NumberWriter) || !isNumber(type)) return (row) => writer.set(row, value())
    if (plan.type.kind === 'timestamp') {
      if (type.kind !== 'long' || timeDivisor(type) !== 1) return (row) => writer.set(row, value())
      return (row) => {
        const time = cursor.long()
        if (typeof time === 'number' && time >= -TIME_MAX && time <= TIME_MAX) writer.setNumber(row, time)
        else writer.set(row, time)
      }
    }
    const number = numberReader(cursor, type)
    return (row) => {
      const read = number()
      if (typeof read === 'number' && Number.isFinite(read)) writer.setNumber(row, read)
      else writer.set(row, read)
    }
  }
}

/** The greatest |epoch ms|. */
const TIME_MAX = 8.64e15
const NOT_UTF8 = new NoValue('a string that is not UTF-8')

function writersField({ fields }: AvroRecord, name: string, aliases: readonly string[]): AvroField | null {
  for (const known of [name, ...aliases]) {
    const field = fields.find((other) => other.name === known)
    if (field !== undefined) return field
  }
  return null
}

function isNumber({ kind }: AvroType): boolean {
  return kind === 'int' || kind === 'long' || kind === 'float' || kind === 'double'
}

function numberReader(cursor: AvroCursor, { kind }: AvroType): () => number | bigint {
  if (kind === 'double') return () => cursor.double()
  if (kind === 'float') return () => cursor.float()
  return kind === 'int' ? () => cursor.int() : () => cursor.long()
}

function textStep(cursor: AvroCursor, writer: TextWriter): Step {
  return (row) => {
    const size = cursor.size()
    const { bytes, at } = cursor
    const end = at + size
    let hash = HASH_START
    let seen = 0
    for (let i = at; i < end; i++) {
      const byte = bytes[i]
      hash = Math.imul(hash ^ byte, HASH_FACTOR)
      seen |= byte
    }
    cursor.at = end
    if (seen >= 0x80 && !isUtf8(bytes.subarray(at, end))) writer.set(row, NOT_UTF8)
    else writer.setText(row, bytes, at, end, hash)
  }
}
