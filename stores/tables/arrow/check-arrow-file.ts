import type { FileHandle } from 'node:fs/promises'

/*
 * What is looked at of an Arrow file before it is read. The reader trusts lengths (a damaged one can make it loop without end, or fill the memory) and takes a
 * file that was cut short for one that ends there.
 *
 *   stream: messages, then u32 −1, u32 0 (or u32 0 alone) · file: "ARROW1" 0 0, stream, footer, u32 its length, "ARROW1"
 *   message: u32 −1 (absent in old files), u32 length, flatbuffer Message, body
 */
const MAGIC = 'ARROW1'
const MAGIC_BYTES = 8
const BLOCK_BYTES = 24
const METADATA_BYTES_MAX = 256 << 20

/** RangeError where the file is none, ends early, or has lengths that do not fit. */
export async function checkArrowFile(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  if ((await readAt(file, 0, Math.min(6, size))).toString('latin1') !== MAGIC) return checkStream(file, size)
  const tail = await readAt(file, Math.max(0, size - 10), Math.min(10, size))
  const length = tail.length === 10 ? tail.readUInt32LE(0) : Infinity
  if (tail.toString('latin1', 4) !== MAGIC || length > size - 10 - MAGIC_BYTES)
    throw new RangeError('its end is missing')
  const end = size - 10 - length
  const footer = await readAt(file, end, length)
  const root = rootOf(footer)
  checkTable(footer, root, FOOTER, 0)
  // Only what the footer names is read: some writers put other things between the messages.
  for (const place of [8, 10]) {
    const at = fieldAt(footer, root, place)
    if (at === 0) continue
    const blocks = at + footer.readUInt32LE(at)
    for (let i = 0; i < footer.readUInt32LE(blocks); i++) {
      const offset = Number(footer.readBigInt64LE(blocks + 4 + BLOCK_BYTES * i))
      if (!(offset >= 0 && offset < end)) throw new RangeError('a block lies outside of it')
      await checkMessage(file, offset, end)
    }
  }
}

/** Messages up to the end mark, which must be all there is. */
async function checkStream(file: FileHandle, size: number): Promise<void> {
  for (let at = 0; ;) {
    const next = await checkMessage(file, at, size)
    if (next === null) return
    at = next
  }
}

/** Returns where the next one begins; null: it is the end mark, and nothing comes behind it. */
async function checkMessage(file: FileHandle, start: number, end: number): Promise<number | null> {
  if (start + 4 > end) throw new RangeError('it is no Arrow file (IPC file or stream format), or its end is missing')
  const head = await readAt(file, start, Math.min(8, end - start))
  const isOld = head.readInt32LE(0) !== -1
  const length = head.readInt32LE(isOld ? 0 : 4)
  const at = start + (isOld ? 4 : 8)
  if (length === 0) {
    if (end - at >= MAGIC_BYTES) throw new RangeError('it goes on behind its end')
    return null
  }
  if (length < 0 || length > METADATA_BYTES_MAX || at + length > end)
    throw new RangeError('it is no Arrow file (IPC file or stream format), or it was cut short')
  const message = await readAt(file, at, length)
  const root = rootOf(message)
  checkTable(message, root, MESSAGE, 0)
  const bodyAt = fieldAt(message, root, 10)
  const next = at + length + (bodyAt === 0 ? 0 : Number(message.readBigInt64LE(bodyAt)))
  if (next < at || next > end) throw new RangeError('a length in its metadata does not fit')
  return next
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead < length) throw new RangeError('it ends early')
  return buffer
}

/** Fields of a flatbuffer table that refer to something, by place in the vtable. A number: a vector of so many bytes each. */
interface TableShape {
  readonly [place: number]: number | 'string' | TableShape | readonly [TableShape] | ((kind: number) => TableShape)
}

const KEY_VALUE: TableShape = { 4: 'string', 6: 'string' }
const FIELD: { [place: number]: TableShape[number] } = { 4: 'string', 10: {}, 12: { 6: {} }, 16: [KEY_VALUE] }
FIELD[14] = [FIELD]
const SCHEMA: TableShape = { 6: [FIELD], 8: [KEY_VALUE], 10: 8 }
const RECORD_BATCH: TableShape = { 6: 16, 8: 16, 10: {}, 12: 8 }
const DICTIONARY_BATCH: TableShape = { 6: RECORD_BATCH }
const HEADERS: Readonly<Record<number, TableShape>> = { 1: SCHEMA, 2: DICTIONARY_BATCH, 3: RECORD_BATCH }
/** The header's kind is the field before it. */
const MESSAGE: TableShape = { 8: (kind) => HEADERS[kind] ?? {}, 12: [KEY_VALUE] }
const FOOTER: TableShape = { 6: SCHEMA, 8: BLOCK_BYTES, 10: BLOCK_BYTES, 12: [KEY_VALUE] }
const DEPTH_MAX = 64

function rootOf(bytes: Buffer): number {
  return bytes.readUInt32LE(0)
}

/** Where a field of a table lies; 0 where it is absent. */
function fieldAt(bytes: Buffer, table: number, place: number): number {
  const vtable = table - bytes.readInt32LE(table)
  if (place + 2 > bytes.readUInt16LE(vtable)) return 0
  const offset = bytes.readUInt16LE(vtable + place)
  return offset === 0 ? 0 : table + offset
}

function checkTable(bytes: Buffer, table: number, shape: TableShape, depth: number): void {
  if (depth > DEPTH_MAX) throw new RangeError('its metadata is nested too deeply')
  for (const [place, kind] of Object.entries(shape)) {
    const at = fieldAt(bytes, table, Number(place))
    if (at === 0) continue
    const target = at + bytes.readUInt32LE(at)
    if (kind === 'string') checkVector(bytes, target, 1)
    else if (typeof kind === 'number') checkVector(bytes, target, kind)
    else if (typeof kind === 'function') {
      const kindAt = fieldAt(bytes, table, Number(place) - 2)
      checkTable(bytes, target, kind(kindAt === 0 ? 0 : bytes.readUInt8(kindAt)), depth + 1)
    } else if (isVectorShape(kind)) {
      const length = checkVector(bytes, target, 4)
      for (let i = 0; i < length; i++) {
        const item = target + 4 + 4 * i
        checkTable(bytes, item + bytes.readUInt32LE(item), kind[0], depth + 1)
      }
    } else checkTable(bytes, target, kind, depth + 1)
  }
  fieldAt(bytes, table, 4)
}

function isVectorShape(kind: TableShape | readonly [TableShape]): kind is readonly [TableShape] {
  return Array.isArray(kind)
}

function checkVector(bytes: Buffer, at: number, itemBytes: number): number {
  const length = bytes.readUInt32LE(at)
  if (at + 4 + length * itemBytes > bytes.length) throw new RangeError('a length in its metadata does not fit')
  return length
}
