/*
 * LZ4 frames, as far as Arrow files hold them (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md). Checksums are skipped, not checked.
 *
 *   frame: u32 magic 0x184d2204, u8 FLG (bits 7–6 version 1, 4 block checksums, 3 content size, 2 content checksum, 0 dictionary id), u8 BD, [u64 content size],
 *          [u32 dictionary id], u8 header checksum, blocks, u32 0, [u32 content checksum]
 *   block: u32 length (top bit: stored as it is), bytes, [u32 checksum]
 *   packed block: sequences of u8 token (literals, match − 4; 15: further bytes follow), literals, u16 distance back
 */
const MAGIC = 0x184d2204
const STORED = 0x8000_0000

/** The content of one frame or several. RangeError where it is none, or ends early. */
export function decodeLz4Frames(bytes: Uint8Array): Uint8Array {
  const out = new Output(Math.max(64, 4 * bytes.length))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length;) at = decodeFrame(bytes, view, at, out)
  return out.bytes.subarray(0, out.length)
}

class Output {
  bytes: Uint8Array
  length = 0

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity)
  }

  reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.length + more, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }
}

function decodeFrame(bytes: Uint8Array, view: DataView, start: number, out: Output): number {
  const flags = view.getUint8(start + 4)
  if (view.getUint32(start, true) !== MAGIC || flags >> 6 !== 1) throw new RangeError('not an LZ4 frame')
  let at = start + 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4)
  const blockChecksum = (flags & 16) === 0 ? 0 : 4
  for (;;) {
    const head = view.getUint32(at, true)
    at += 4
    if (head === 0) return at + ((flags & 4) === 0 ? 0 : 4)
    const length = head % STORED
    if (at + length > bytes.length) throw new RangeError('an LZ4 block ends early')
    const block = bytes.subarray(at, at + length)
    if (head >= STORED) {
      out.reserve(length)
      out.bytes.set(block, out.length)
      out.length += length
    } else decodeBlock(block, out)
    at += length + blockChecksum
  }
}

function decodeBlock(block: Uint8Array, out: Output): void {
  for (let at = 0; at < block.length;) {
    const token = block[at++]
    let literals = token >> 4
    if (literals === 15) {
      let more
      do literals += more = block[at++]
      while (more === 255)
    }
    if (!(at + literals <= block.length)) throw new RangeError('LZ4 literals end early')
    out.reserve(literals)
    out.bytes.set(block.subarray(at, at + literals), out.length)
    out.length += literals
    at += literals
    if (at === block.length) return
    const distance = block[at] | (block[at + 1] << 8)
    at += 2
    let match = (token & 15) + 4
    if (match === 19) {
      let more
      do match += more = block[at++]
      while (more === 255)
    }
    const from = out.length - distance
    if (!(at <= block.length) || distance === 0 || from < 0) throw new RangeError('an LZ4 match lies outside')
    out.reserve(match)
    // Byte by byte: a match may reach into what it writes.
    for (let i = 0; i < match; i++) out.bytes[out.length + i] = out.bytes[from + i]
    out.length += match
  }
}
