/** Reads what ByteWriter wrote. Throws RangeError past the end: callers turn it into the error of their layer. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  offset: number
  readonly end: number

  constructor(bytes: Uint8Array, offset: number = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.offset = offset
    this.end = end
  }

  get remaining(): number {
    return this.end - this.offset
  }

  u8(): number {
    if (this.offset >= this.end) throw new RangeError('read past the end')
    return this.bytes[this.offset++]
  }

  u32(): number {
    const at = this.#take(4)
    return this.view.getUint32(at, true)
  }

  f32(): number {
    const at = this.#take(4)
    return this.view.getFloat32(at, true)
  }

  f64(): number {
    const at = this.#take(8)
    return this.view.getFloat64(at, true)
  }

  i64(): bigint {
    const at = this.#take(8)
    return this.view.getBigInt64(at, true)
  }

  varint(): number {
    let byte = this.u8()
    let result = byte & 0x7f
    let scale = 128
    while (byte >= 128) {
      byte = this.u8()
      result += (byte & 0x7f) * scale
      scale *= 128
    }
    return result
  }

  svarint(): number {
    const first = this.u8()
    const low = (first & 0x7f) >> 1
    const magnitude = first < 128 ? low : low + 64 * this.varint()
    return (first & 1) === 0 ? magnitude : -magnitude - 1
  }

  /** A view, not a copy. */
  raw(count: number): Uint8Array {
    const at = this.#take(count)
    return this.bytes.subarray(at, at + count)
  }

  /** A view, not a copy. */
  blob(): Uint8Array {
    return this.raw(this.varint())
  }

  string(): string {
    return decoder.decode(this.blob())
  }

  #take(count: number): number {
    const at = this.offset
    if (count < 0 || at + count > this.end) throw new RangeError('read past the end')
    this.offset = at + count
    return at
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
