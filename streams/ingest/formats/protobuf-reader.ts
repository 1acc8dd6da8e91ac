import { isUtf8 } from 'node:buffer'
import type { FieldPlan } from '../../../features/plan/field-type.ts'
import { zeroOf } from '../../../stores/schemas/protobuf-schema.ts'
import type { ProtobufField, ProtobufMessage, ProtobufScalar } from '../../../stores/schemas/protobuf-schema.ts'
import { NoValue } from '../decode-field.ts'
import { TextWriter } from '../field-writers.ts'
import type { FieldWriter } from '../field-writers.ts'
import { HASH_FACTOR, HASH_START } from '../text-codes.ts'
import { LENGTH, ProtobufCursor, VARINT, wireTypeOf } from './protobuf-cursor.ts'

const MESSAGE = new NoValue('a message')
const LIST = new NoValue('a list')
const NOT_UTF8 = new NoValue('a string that is not UTF-8')
/** Stands for a text whose bytes are where `#from` and `#to` say. */
const TEXT = Symbol('text')

interface Target {
  readonly column: number
  readonly field: ProtobufField
  /** Columns of the other fields of its oneof. */
  readonly rivals: readonly number[]
}

/** Reads events of one message type into columns. Fields of the bytes that no column needs are passed over; of a field that is there twice the last counts. */
export class ProtobufReader {
  readonly #cursor = new ProtobufCursor()
  readonly #inner = new ProtobufCursor()
  readonly #fields: readonly FieldPlan[]
  readonly #writers: readonly FieldWriter[]
  readonly #targets = new Map<number, Target>()
  readonly #absent: readonly unknown[]
  readonly #values: unknown[]
  readonly #from: Int32Array
  readonly #to: Int32Array
  readonly #hash: Int32Array

  constructor(fields: readonly FieldPlan[], writers: readonly FieldWriter[], message: ProtobufMessage) {
    this.#fields = fields
    this.#writers = writers
    const sources = fields.map(({ name }) => message.fields.find((field) => field.name === name) ?? null)
    this.#absent = sources.map((field) => field?.absent)
    for (const field of message.fields) {
      const column = sources.indexOf(field)
      const rivals = sources.flatMap((other, i) =>
        field.oneof !== null && other !== null && other !== field && other.oneof === field.oneof ? [i] : [],
      )
      if (column >= 0 || rivals.length > 0) this.#targets.set(field.number, { column, field, rivals })
    }
    this.#values = fields.map(() => undefined)
    this.#from = new Int32Array(fields.length)
    this.#to = new Int32Array(fields.length)
    this.#hash = new Int32Array(fields.length)
  }

  read(record: Buffer, from: number, row: number): void {
    const cursor = this.#cursor
    const values = this.#values
    cursor.open(record, from)
    for (let i = 0; i < values.length; i++) values[i] = this.#absent[i]
    for (;;) {
      const tag = cursor.tag()
      if (tag === 0) break
      const target = this.#targets.get(Math.floor(tag / 8))
      if (target === undefined) cursor.skip(tag)
      else this.#field(target, tag)
    }
    for (let i = 0; i < values.length; i++) {
      const writer = this.#writers[i]
      if (values[i] !== TEXT) writer.set(row, values[i])
      else if (writer instanceof TextWriter) writer.setText(row, record, this.#from[i], this.#to[i], this.#hash[i])
      else writer.set(row, record.toString('utf8', this.#from[i], this.#to[i]))
    }
  }

  #field({ column, field, rivals }: Target, tag: number): void {
    const cursor = this.#cursor
    const { kind } = field
    const wireType = tag % 8
    const scalar = kind.kind === 'scalar' ? kind.scalar : kind.kind === 'enum' ? 'int32' : null
    const expected = scalar === null ? LENGTH : wireTypeOf(scalar)
    const isPacked = field.repeated && scalar !== null && expected !== LENGTH && wireType === LENGTH
    // As unknown: so the format lets a field change its type.
    if (wireType !== expected && !isPacked) return cursor.skip(tag)
    for (const rival of rivals) this.#values[rival] = undefined
    if (column < 0) return cursor.skip(tag)
    if (field.repeated) return this.#repeated(column, field, scalar, isPacked)
    if (kind.kind === 'scalar' && (kind.scalar === 'string' || kind.scalar === 'bytes'))
      return this.#bytes(column, kind.scalar)
    if (kind.kind === 'scalar') this.#values[column] = cursor.scalar(kind.scalar)
    else if (kind.kind === 'enum') this.#values[column] = this.#enumValue(column, kind.names, cursor.int32())
    else this.#message(column, field)
  }

  #bytes(column: number, scalar: 'string' | 'bytes'): void {
    const cursor = this.#cursor
    const size = cursor.size()
    const from = cursor.take(size)
    const { bytes, at: end } = cursor
    if (scalar === 'bytes') {
      this.#values[column] = bytes.subarray(from, end)
      return
    }
    let hash = HASH_START
    let seen = 0
    for (let i = from; i < end; i++) {
      const byte = bytes[i]
      hash = Math.imul(hash ^ byte, HASH_FACTOR)
      seen |= byte
    }
    this.#from[column] = from
    this.#to[column] = end
    this.#hash[column] = hash
    this.#values[column] = seen >= 0x80 && !isUtf8(bytes.subarray(from, end)) ? NOT_UTF8 : TEXT
  }

  /** Numbers into a vector; any other list is no value of a column. */
  #repeated(column: number, { kind }: ProtobufField, scalar: ProtobufScalar | null, isPacked: boolean): void {
    const cursor = this.#cursor
    if (
      scalar === null ||
      kind.kind !== 'scalar' ||
      this.#fields[column].type.kind !== 'vector' ||
      wireTypeOf(scalar) === LENGTH
    ) {
      cursor.skip(8 + (isPacked || scalar === null ? LENGTH : wireTypeOf(scalar)))
      this.#values[column] = LIST
      return
    }
    let list = this.#values[column] as unknown[]
    // The list of an absent field is everybody's.
    if (list === this.#absent[column]) this.#values[column] = list = []
    if (isPacked) this.#packed(list, scalar)
    else list.push(cursor.scalar(scalar))
  }

  #packed(list: unknown[], scalar: ProtobufScalar): void {
    const cursor = this.#cursor
    const inner = this.#inner
    const size = cursor.size()
    inner.open(cursor.bytes, cursor.at, cursor.at + size)
    while (inner.at < inner.end) list.push(inner.scalar(scalar))
    cursor.at = inner.end
  }

  #enumValue(column: number, names: ReadonlyMap<number, string>, number: number): unknown {
    const { kind } = this.#fields[column].type
    if (kind !== 'enum' && kind !== 'string') return number
    return names.get(number) ?? new NoValue(`${number}, which the schema's enum has no name for`)
  }

  #message(column: number, { kind }: ProtobufField): void {
    const cursor = this.#cursor
    const size = cursor.size()
    const from = cursor.take(size)
    this.#inner.open(cursor.bytes, from, from + size)
    if (kind.kind === 'timestamp' && this.#fields[column].type.kind === 'timestamp')
      this.#values[column] = this.#instant()
    else if (kind.kind === 'wrapper') this.#values[column] = this.#wrapped(kind.scalar)
    else this.#values[column] = MESSAGE
  }

  /** Epoch ms, rounded down. */
  #instant(): number {
    const inner = this.#inner
    let seconds: number | bigint = 0
    let nanos = 0
    for (;;) {
      const tag = inner.tag()
      if (tag === 0) break
      if (tag === 8 + VARINT) seconds = inner.scalar('int64') as number | bigint
      else if (tag === 16 + VARINT) nanos = inner.int32()
      else inner.skip(tag)
    }
    return Number(seconds) * 1000 + Math.floor(nanos / 1e6)
  }

  #wrapped(scalar: ProtobufScalar): unknown {
    const inner = this.#inner
    let value = zeroOf(scalar)
    for (;;) {
      const tag = inner.tag()
      if (tag === 0) return value
      if (tag !== 8 + wireTypeOf(scalar)) inner.skip(tag)
      else if (scalar !== 'string' && scalar !== 'bytes') value = inner.scalar(scalar)
      else {
        const size = inner.size()
        const from = inner.take(size)
        const bytes = inner.bytes.subarray(from, from + size)
        value = scalar === 'bytes' ? bytes : isUtf8(bytes) ? bytes.toString('utf8') : NOT_UTF8
      }
    }
  }
}
