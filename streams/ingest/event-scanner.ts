import type { SourcePlan } from '../../features/plan/source-plan.ts'
import { NumberWriter, TextWriter } from './field-writers.ts'
import type { FieldWriter } from './field-writers.ts'
import { HASH_FACTOR, HASH_START } from './text-codes.ts'
import { parseUtcBytes } from './utc-time.ts'

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const POINT = 0x2e
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN = 0x7b
const CLOSE = 0x7d
const DIGITS_MAX = 15
const POWERS_OF_TEN = Float64Array.from({ length: DIGITS_MAX + 1 }, (_, exponent) => Number(`1e${exponent}`))
const UNKNOWN = -1

/**
 * Reads plain events from UTF-8 bytes straight into columns. Plain is: an object of names and scalars, no escape sequence, no exponent, numbers of at most 15
 * digits (then digits and power of ten are doubles, and their quotient is the double nearest to the text), no field twice, every value one of its field, spaces
 * alone between tokens. For these JSON.parse and `decodeField` give the same, and any other line is left to them: the scanner never refuses an event.
 */
export class EventScanner {
  readonly #writers: readonly FieldWriter[]
  readonly #numbers: readonly (NumberWriter | null)[]
  readonly #isTime: readonly boolean[]
  readonly #texts: readonly (TextWriter | null)[]
  readonly #nullable: readonly boolean[]
  /** `"name"`, as bytes. */
  readonly #names: readonly Uint8Array[]
  /** The field at each place of the event before: most often it is the same. */
  readonly #order: number[] = []
  /** By field: the line that had it last. */
  readonly #seenIn: Float64Array
  #line = 0
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  constructor(source: SourcePlan, writers: readonly FieldWriter[]) {
    this.#writers = writers
    this.#numbers = writers.map((writer) => (writer instanceof NumberWriter ? writer : null))
    this.#texts = writers.map((writer) => (writer instanceof TextWriter ? writer : null))
    this.#isTime = source.fields.map(({ type }) => type.kind === 'timestamp')
    this.#nullable = source.fields.map(({ nullable }) => nullable)
    this.#names = source.fields.map(({ name }) => Buffer.from(JSON.stringify(name)))
    this.#seenIn = new Float64Array(writers.length)
  }

  /** What is scanned from here on: valid UTF-8. */
  open(bytes: Buffer): void {
    this.#bytes = bytes
    this.#end = bytes.length
  }

  /** The event on the line that begins at `from`, into row `row`. Returns where its line ends; −1: it is not plain. May throw what `decodeField` throws. */
  scan(from: number, row: number): number {
    if (this.#bytes[from] !== OPEN) return -1
    this.#at = from + 1
    this.#line++
    let fields = 0
    for (let place = 0; ; place++) {
      if (this.#skipSpaces() !== QUOTE) return -1
      const field = this.#field(place)
      if (this.#at < 0) return -1
      if (this.#skipSpaces() !== COLON) return -1
      this.#at++
      this.#skipSpaces()
      if (field !== UNKNOWN) {
        if (this.#seenIn[field] === this.#line) return -1
        this.#seenIn[field] = this.#line
        fields++
      }
      if (!this.#value(field, row)) return -1
      const next = this.#skipSpaces()
      this.#at++
      if (next === CLOSE) break
      if (next !== COMMA) return -1
    }
    if (fields < this.#writers.length && !this.#setAbsent(row)) return -1
    return this.#lineEnd()
  }

  /** The next byte that is no space; −1 at the end. */
  #skipSpaces(): number {
    const bytes = this.#bytes
    while (this.#at < this.#end && bytes[this.#at] === SPACE) this.#at++
    return this.#at < this.#end ? bytes[this.#at] : -1
  }

  #lineEnd(): number {
    let next = this.#skipSpaces()
    if (next === CARRIAGE_RETURN) {
      this.#at++
      next = this.#skipSpaces()
    }
    return next === -1 || next === NEWLINE ? this.#at : -1
  }

  #setAbsent(row: number): boolean {
    for (let field = 0; field < this.#writers.length; field++) {
      if (this.#seenIn[field] === this.#line) continue
      if (!this.#nullable[field]) return false
      this.#writers[field].set(row, undefined)
    }
    return true
  }

  /** The field whose name stands here, UNKNOWN for another name; `#at` is then behind it, or −1 where the name is not plain. */
  #field(place: number): number {
    const expected = place < this.#order.length ? this.#order[place] : UNKNOWN
    if (expected !== UNKNOWN && this.#isName(this.#names[expected])) {
      this.#at += this.#names[expected].length
      return expected
    }
    const field = this.#names.findIndex((name) => this.#isName(name))
    this.#order[place] = field
    if (field >= 0) this.#at += this.#names[field].length
    else {
      this.#at++
      const end = this.#textEnd()
      this.#at = end < 0 ? -1 : end + 1
    }
    return field
  }

  #isName(name: Uint8Array): boolean {
    const bytes = this.#bytes
    const from = this.#at
    if (from + name.length > this.#end) return false
    for (let i = 1; i < name.length; i++) if (bytes[from + i] !== name[i]) return false
    return true
  }

  /** Where the text that begins here ends; −1: not on this line, or not plain. */
  #textEnd(): number {
    const bytes = this.#bytes
    for (let at = this.#at; at < this.#end; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) return at
      if (byte === BACKSLASH || byte < SPACE) return -1
    }
    return -1
  }

  #value(field: number, row: number): boolean {
    const byte = this.#at < this.#end ? this.#bytes[this.#at] : 0
    if (byte === QUOTE) return this.#text(field, row)
    if (byte === MINUS || (byte >= 0x30 && byte <= 0x39)) return this.#number(field, row)
    if (byte === 0x6e) return this.#word('null') && this.#set(field, row, null)
    if (byte === 0x74) return this.#word('true') && this.#set(field, row, true)
    return byte === 0x66 && this.#word('false') && this.#set(field, row, false)
  }

  #set(field: number, row: number, raw: unknown): boolean {
    if (field !== UNKNOWN) this.#writers[field].set(row, raw)
    return true
  }

  #word(word: string): boolean {
    if (this.#at + word.length > this.#end) return false
    for (let i = 0; i < word.length; i++) if (this.#bytes[this.#at + i] !== word.charCodeAt(i)) return false
    this.#at += word.length
    return true
  }

  #text(field: number, row: number): boolean {
    const bytes = this.#bytes
    const end = this.#end
    const from = this.#at + 1
    let at = from
    let hash = HASH_START
    for (; at < end; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) break
      if (byte === BACKSLASH || byte < SPACE) return false
      hash = Math.imul(hash ^ byte, HASH_FACTOR)
    }
    if (at >= end) return false
    this.#at = at + 1
    if (field === UNKNOWN) return true
    const writer = this.#texts[field]
    if (writer !== null) {
      writer.setText(row, bytes, from, at, hash)
      return true
    }
    if (this.#isTime[field]) {
      const time = parseUtcBytes(bytes, from, at)
      if (time === time) {
        this.#numbers[field]?.setNumber(row, time)
        return true
      }
    }
    this.#writers[field].set(row, bytes.toString('utf8', from, at))
    return true
  }

  #number(field: number, row: number): boolean {
    const bytes = this.#bytes
    const end = this.#end
    let at = this.#at
    const isNegative = bytes[at] === MINUS
    if (isNegative) at++
    const first = at
    let whole = 0
    while (at < end && isDigit(bytes[at])) whole = 10 * whole + bytes[at++] - 0x30
    let digits = at - first
    if (digits === 0 || (digits > 1 && bytes[first] === 0x30)) return false
    let decimals = 0
    if (at < end && bytes[at] === POINT) {
      const point = at++
      while (at < end && isDigit(bytes[at])) whole = 10 * whole + bytes[at++] - 0x30
      decimals = at - point - 1
      if (decimals === 0) return false
      digits += decimals
    }
    // An exponent is not plain: what follows is then no comma.
    if (digits > DIGITS_MAX) return false
    this.#at = at
    if (field === UNKNOWN) return true
    const size = decimals === 0 ? whole : whole / POWERS_OF_TEN[decimals]
    const value = isNegative ? -size : size
    const writer = this.#numbers[field]
    // Whole numbers of 15 digits are all times.
    if (writer !== null && (!this.#isTime[field] || Number.isInteger(value))) writer.setNumber(row, value)
    else this.#writers[field].set(row, value)
    return true
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}
