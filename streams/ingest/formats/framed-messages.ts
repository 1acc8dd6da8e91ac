import { failStream } from '../../errors.ts'
import { failStore } from '../../../stores/errors.ts'
import type { ProtobufFile, ProtobufMessage } from '../../../stores/schemas/protobuf-schema.ts'
import { malformed } from './protobuf-cursor.ts'
import type { ProtobufReader } from './protobuf-reader.ts'

/*
 * Behind the frame of a Protobuf record stands where its message is in the schema: a zigzag varint of how many numbers there are, then as many zigzag varints, the place among the
 * messages of the file, among those of that message …; a single 0 stands for one number, 0.
 */
const NESTING_MAX = 32

interface Found {
  readonly reader: ProtobufReader
  /** Where the message begins in the record. */
  readonly from: number
}

/** Readers of the messages of one schema, each made when a record first names it. */
export class FramedMessages {
  readonly #file: ProtobufFile
  readonly #create: (message: ProtobufMessage) => ProtobufReader
  /** The only one that is taken in; null: any. */
  readonly #wanted: string | null
  readonly #readers = new Map<string, ProtobufReader>()
  #at = 0

  constructor(file: ProtobufFile, create: (message: ProtobufMessage) => ProtobufReader, wanted: string | null) {
    this.#file = file
    this.#create = create
    this.#wanted = wanted
  }

  /** TM_EVENT_MALFORMED, TM_EVENT_MESSAGE, TM_SCHEMA_INVALID. */
  of(record: Buffer, at: number): Found {
    this.#at = at
    const count = this.#index(record)
    if (count > NESTING_MAX) throw malformed(`its message lies ${count} deep in the schema`)
    const path = count === 0 ? [0] : Array.from({ length: count }, () => this.#index(record))
    const name = path.join('.')
    let reader = this.#readers.get(name)
    if (reader === undefined) this.#readers.set(name, (reader = this.#readerOf(path)))
    return { reader, from: this.#at }
  }

  #readerOf(path: readonly number[]): ProtobufReader {
    const message = this.#file.message(path)
    if (message === null)
      throw failStore('TM_SCHEMA_INVALID', `the record's schema has no message number ${path.join('.')}`)
    if (this.#wanted !== null && message.name !== this.#wanted)
      throw failStream(
        'TM_EVENT_MESSAGE',
        `expected the message ${this.#wanted}, found ${message.name}: send such events to another topic`,
      )
    return this.#create(message)
  }

  #index(record: Buffer): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 28; scale *= 128) {
      if (this.#at >= record.length) throw malformed('it is cut short')
      const byte = record[this.#at++]
      value += (byte & 0x7f) * scale
      if (byte >= 0x80) continue
      if (value % 2 === 0) return value / 2
      break
    }
    throw malformed('the place of its message in the schema is no number')
  }
}
