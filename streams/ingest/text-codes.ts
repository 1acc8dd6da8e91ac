const ENTRIES_MAX = 1 << 16
const BYTES_MAX = 8 << 20
/** A text that finds no place within this many steps is held in a Map, whose hash an adversary does not know: no input makes a search long. */
const PROBES_MAX = 24

/** FNV-1a (32 bits) is fed byte by byte, by whoever reads the bytes anyway. */
export const HASH_START = 0x811c9dc5 | 0
export const HASH_FACTOR = 0x01000193

/**
 * Texts of one field, numbered, and found by their UTF-8 bytes: one that came before, in this batch or an earlier one, makes no new string. Bounded: beyond
 * 65,536 texts or 8 MiB it starts afresh with the next batch.
 */
export class TextCodes {
  readonly texts: string[] = []
  #table = new Int32Array(1024).fill(-1)
  #hashes = new Int32Array(512)
  #ends = new Int32Array(512)
  #bytes = Buffer.allocUnsafe(1 << 14)
  #crowded: Map<string, number> | null = null

  /** Forgets everything if there is too much. */
  trim(): void {
    if (this.texts.length <= ENTRIES_MAX && this.#end(this.texts.length) <= BYTES_MAX) return
    this.texts.length = 0
    this.#table = new Int32Array(1024).fill(-1)
    this.#bytes = Buffer.allocUnsafe(1 << 14)
    this.#crowded = null
  }

  /** The number of the text with these bytes (valid UTF-8) and their FNV-1a hash, new if need be. */
  codeOf(source: Buffer, from: number, to: number, hash: number): number {
    const table = this.#table
    const mask = table.length - 1
    let at = (hash ^ (hash >>> 15)) & mask
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const code = table[at]
      if (code === -1) return this.#add(source, from, to, hash, at)
      if (this.#hashes[code] === hash && this.#isSame(code, source, from, to)) return code
      at = (at + 1) & mask
    }
    return this.#addCrowded(source, from, to, hash)
  }

  #isSame(code: number, source: Buffer, from: number, to: number): boolean {
    const bytes = this.#bytes
    const start = this.#end(code)
    if (this.#ends[code] - start !== to - from) return false
    for (let i = from, j = start; i < to; i++, j++) if (source[i] !== bytes[j]) return false
    return true
  }

  /** Where the bytes of the text before `code` end. */
  #end(code: number): number {
    return code === 0 ? 0 : this.#ends[code - 1]
  }

  #addCrowded(source: Buffer, from: number, to: number, hash: number): number {
    this.#crowded ??= new Map()
    const text = source.toString('utf8', from, to)
    const known = this.#crowded.get(text)
    if (known !== undefined) return known
    const code = this.#append(source, from, to, hash, text)
    this.#crowded.set(text, code)
    return code
  }

  #add(source: Buffer, from: number, to: number, hash: number, at: number): number {
    const code = this.#append(source, from, to, hash, source.toString('utf8', from, to))
    this.#table[at] = code
    if (2 * this.texts.length > this.#table.length) this.#widen()
    return code
  }

  #append(source: Buffer, from: number, to: number, hash: number, text: string): number {
    const code = this.texts.length
    const start = this.#end(code)
    const end = start + to - from
    if (code === this.#ends.length) {
      this.#ends = widened(this.#ends)
      this.#hashes = widened(this.#hashes)
    }
    if (end > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, 2 * this.#bytes.length))
      this.#bytes.copy(grown, 0, 0, start)
      this.#bytes = grown
    }
    source.copy(this.#bytes, start, from, to)
    this.#ends[code] = end
    this.#hashes[code] = hash
    this.texts.push(text)
    return code
  }

  /** Every text is placed anew, those of the Map too: the Map is asked only where a text's whole way through the table is full. */
  #widen(): void {
    const table = new Int32Array(4 * this.#table.length).fill(-1)
    const mask = table.length - 1
    for (let code = 0; code < this.texts.length; code++) {
      const hash = this.#hashes[code]
      let at = (hash ^ (hash >>> 15)) & mask
      let probe = 0
      for (; table[at] !== -1 && probe < PROBES_MAX; probe++) at = (at + 1) & mask
      if (probe < PROBES_MAX) table[at] = code
      else (this.#crowded ??= new Map()).set(this.texts[code], code)
    }
    this.#table = table
  }
}

function widened(array: Int32Array): Int32Array<ArrayBuffer> {
  const wider = new Int32Array(2 * array.length)
  wider.set(array)
  return wider
}
