const INITIAL_BYTES = 256
/** Texts below this have a length of one byte. */
const SHORT_TEXT = 128

/**
 * Appends to a growing buffer. Integers are little-endian; varints are LEB128 (unsigned) and zigzag LEB128 (signed).
 * Re-usable: `reset()` keeps the buffer, `finish()` returns a copy of the bytes written.
 */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>
  view: DataView
  length = 0

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.bytes = new Uint8Array(initialBytes)
    this.view = new DataView(this.bytes.buffer)
  }

  reset(): void {
    this.length = 0
  }

  /** Makes room for `count` more bytes and returns the offset at which they start; the caller advances `length`. */
  reserve(count: number): number {
    const needed = this.length + count
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    return this.length
  }

  u8(value: number): void {
    const at = this.reserve(1)
    this.bytes[at] = value
    this.length = at + 1
  }

  u32(value: number): void {
    const at = this.reserve(4)
    this.view.setUint32(at, value, true)
    this.length = at + 4
  }

  f32(value: number): void {
    const at = this.reserve(4)
    this.view.setFloat32(at, value, true)
    this.length = at + 4
  }

  f64(value: number): void {
    const at = this.reserve(8)
    this.view.setFloat64(at, value, true)
    this.length = at + 8
  }

  i64(value: bigint): void {
    const at = this.reserve(8)
    this.view.setBigInt64(at, value, true)
    this.length = at + 8
  }

  /** A non-negative safe integer. */
  varint(value: number): void {
    let at = this.reserve(8)
    let rest = value
    while (rest >= 0x10000000) {
      this.bytes[at++] = (rest & 0x7f) | 0x80
      rest = Math.floor(rest / 128)
    }
    while (rest >= 128) {
      this.bytes[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.bytes[at++] = rest
    this.length = at
  }

  /** Any safe integer, zigzag: 0, −1, 1, −2 … */
  svarint(value: number): void {
    const sign = value < 0 ? 1 : 0
    const magnitude = sign === 1 ? -value - 1 : value
    // Twice a magnitude of more than 2^52 is no safe integer: the first byte takes the sign and six bits, so that nothing is doubled.
    const first = ((magnitude % 64) << 1) | sign
    if (magnitude < 64) return this.u8(first)
    this.u8(first | 0x80)
    this.varint(Math.floor(magnitude / 64))
  }

  raw(source: Uint8Array): void {
    const at = this.reserve(source.length)
    this.bytes.set(source, at)
    this.length = at + source.length
  }

  /** Length as varint, then the bytes. */
  blob(source: Uint8Array): void {
    this.varint(source.length)
    this.raw(source)
  }

  /** UTF-8 byte length as varint, then the bytes. Lone surrogates become U+FFFD (decoding refuses them earlier). */
  string(value: string): void {
    if (value.length >= SHORT_TEXT || !this.#ascii(value)) this.blob(encoder.encode(value))
  }

  /** A short text of ASCII alone, without a call into the engine's encoder; false (and nothing written) for any other. */
  #ascii(value: string): boolean {
    const { length } = value
    const at = this.reserve(length + 1)
    const { bytes } = this
    bytes[at] = length
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 127) return false
      bytes[at + 1 + i] = code
    }
    this.length = at + 1 + length
    return true
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.slice(0, this.length)
  }
}

const encoder = new TextEncoder()
