/*
 * Parquet's hybrid of run-length and bit-packed runs (https://parquet.apache.org/docs/file-format/data-pages/encodings/): varint (groups of 8 << 1 | 1) and
 * the values packed from the least significant bit, or varint (count << 1) and one value in whole bytes.
 */

/** Bits that values 0…max take. */
export function bitWidth(max: number): number {
  return 32 - Math.clz32(max)
}

/** One run: all of one value, or bit-packed. Returns the end. `target` needs 10 + 4 · ⌈length / 8⌉ · … bytes, see `hybridBytesMax`. */
export function writeHybrid(
  values: Int32Array | Uint8Array,
  length: number,
  width: number,
  target: Uint8Array,
  at: number,
): number {
  if (length > 0 && isConstant(values, length)) {
    let end = writeVarint(length * 2, target, at)
    for (let byte = 0; byte < (width + 7) >> 3; byte++) target[end++] = (values[0] >>> (8 * byte)) & 0xff
    return end
  }
  const groups = Math.ceil(length / 8)
  let end = writeVarint(groups * 2 + 1, target, at)
  let held = 0
  let bits = 0
  for (let i = 0; i < length; i++) {
    // At most 7 bits are held here and `width` is at most 24.
    held |= values[i] << bits
    bits += width
    while (bits >= 8) {
      target[end++] = held & 0xff
      held >>>= 8
      bits -= 8
    }
  }
  const packedEnd = end + Math.ceil(((groups * 8 - length) * width + bits) / 8)
  if (bits > 0) target[end++] = held & 0xff
  target.fill(0, end, packedEnd)
  return packedEnd
}

/** Reads `count` values from `at` on. Throws RangeError where the bytes end before. */
export function readHybrid(bytes: Uint8Array, at: number, width: number, target: Int32Array, count: number): void {
  let next = at
  let done = 0
  while (done < count) {
    let head = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[next++]
      head |= (byte & 0x7f) << shift
      if (byte < 0x80) break
      if (byte === undefined || shift > 28) throw new RangeError('a run of values beyond its page')
    }
    if ((head & 1) === 0) {
      const length = Math.min(head >>> 1, count - done)
      let value = 0
      for (let byte = 0; byte < (width + 7) >> 3; byte++) value |= bytes[next++] << (8 * byte)
      if (next > bytes.length || length === 0) throw new RangeError('a run of values beyond its page')
      target.fill(value, done, done + length)
      done += length
      continue
    }
    const packed = (head >>> 1) * width
    if (packed === 0 && width > 0) throw new RangeError('an empty run of values')
    const length = Math.min((head >>> 1) * 8, count - done)
    // Writers may leave out the padding at the end of the last run.
    if (next + Math.ceil((length * width) / 8) > bytes.length) throw new RangeError('a run of values beyond its page')
    unpackBits(bytes, next, width, target.subarray(done, done + length))
    next += packed
    done += length
  }
}

function unpackBits(bytes: Uint8Array, at: number, width: number, target: Int32Array): void {
  if (width > 24) return unpackWideBits(bytes, at, width, target)
  const mask = (1 << width) - 1
  let next = at
  let held = 0
  let bits = 0
  for (let i = 0; i < target.length; i++) {
    // At most 23 bits are held before a byte is added.
    while (bits < width) {
      held |= bytes[next++] << bits
      bits += 8
    }
    target[i] = held & mask
    held >>>= width
    bits -= width
  }
}

function unpackWideBits(bytes: Uint8Array, at: number, width: number, target: Int32Array): void {
  for (let i = 0; i < target.length; i++) {
    let value = 0
    for (let bit = 0; bit < width; bit++) {
      const from = i * width + bit
      value |= ((bytes[at + (from >> 3)] >> (from & 7)) & 1) << bit
    }
    target[i] = value
  }
}

export function hybridBytesMax(length: number, width: number): number {
  return 10 + Math.ceil(length / 8) * width + 8
}

function isConstant(values: Int32Array | Uint8Array, length: number): boolean {
  for (let i = 1; i < length; i++) if (values[i] !== values[0]) return false
  return true
}

function writeVarint(value: number, target: Uint8Array, at: number): number {
  let rest = value
  let end = at
  while (rest >= 0x80) {
    target[end++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  target[end++] = rest
  return end
}
