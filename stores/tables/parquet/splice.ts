import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { failStore } from '../../errors.ts'
import { binaryField, decodeThrift, encodeThrift, i32Field, i64Field, structField, THRIFT } from './thrift-compact.ts'
import type { ThriftField, ThriftList, ThriftStruct } from './thrift-compact.ts'

const MAGIC = Buffer.from('PAR1')
/** Footer entries that describe the schema of the file they were written for. */
const SCHEMA_METADATA = new Set(['ARROW:schema', 'pandas'])
const FOOTER_BYTES_MAX = 256 << 20
const COPY_BYTES = 8 << 20

/** A Parquet file whose column chunks can be taken over as they are. */
export interface ParquetFile {
  readonly path: string
  readonly footer: ThriftStruct
  /** Rows of each row group. */
  readonly rowGroups: readonly number[]
}

/** Reads a footer. TM_FILE_UNREADABLE where the file is not Parquet, or is encrypted. */
export async function readParquetFile(path: string): Promise<ParquetFile> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const tail = await readAt(file, Math.max(0, size - 8), Math.min(8, size))
    const length = tail.length === 8 ? tail.readUInt32LE(0) : 0
    if (tail.length < 8 || !tail.subarray(4).equals(MAGIC) || length > size - 12 || length > FOOTER_BYTES_MAX)
      throw failStore('TM_FILE_UNREADABLE', `${path} is not a Parquet file, or an encrypted or damaged one`, {
        details: { path },
      })
    const footer = decodeThrift(await readAt(file, size - 8 - length, length))
    return { path, footer, rowGroups: listOf(footer, 4).map((group) => Number((group as ThriftStruct).get(3)?.value)) }
  } finally {
    await file.close()
  }
}

/** Column chunks of one row group, one after the other. */
export interface EncodedColumns {
  readonly bytes: Uint8Array
  /** ColumnMetaData with page offsets from the chunk's start. */
  readonly chunks: readonly { readonly length: number; readonly metadata: ThriftStruct }[]
}

export interface SpliceOptions {
  readonly spine: ParquetFile
  readonly out: string
  /** Schema elements of the columns to add. */
  readonly schema: readonly ThriftStruct[]
  /** Chunks of the added columns, by row group of the spine. */
  readonly columns: (rowGroup: number) => Promise<EncodedColumns>
}

/**
 * Writes the spine's columns, their bytes as they are, and further columns beside them, row group by row group. Returns the SHA-256 of the file.
 */
export async function spliceParquet({ spine, out, schema, columns }: SpliceOptions): Promise<string> {
  const source = await open(spine.path)
  const writer = new HashedFile(await open(out, 'w'))
  try {
    await writer.write(MAGIC)
    for (const [g, group] of listOf(spine.footer, 4).entries())
      await spliceRowGroup(source, writer, group as ThriftStruct, await columns(g))
    extendFooter(spine.footer, schema)
    const footer = encodeThrift(spine.footer)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(footer.length)
    await writer.write(footer)
    await writer.write(length)
    await writer.write(MAGIC)
    return writer.digest()
  } finally {
    await writer.close()
    await source.close()
  }
}

async function spliceRowGroup(
  source: FileHandle,
  writer: HashedFile,
  group: ThriftStruct,
  added: EncodedColumns,
): Promise<void> {
  const start = writer.position
  const columns = listOf(group, 1)
  let uncompressed = 0n
  for (const column of columns) {
    const chunk = column as ThriftStruct
    const metadata = chunk.get(3)?.value as ThriftStruct
    const first = firstByte(metadata)
    const length = Number(metadata.get(7)?.value)
    shift(metadata, writer.position - first)
    for (let at = 0; at < length; at += COPY_BYTES)
      await writer.write(await readAt(source, first + at, Math.min(COPY_BYTES, length - at)))
    // Indexes and filters lie elsewhere in the file and are not taken over.
    for (const field of [4, 5, 6, 7]) chunk.delete(field)
    chunk.set(2, i64Field(0))
    uncompressed += metadata.get(6)?.value as bigint
  }
  let position = writer.position
  await writer.write(added.bytes)
  for (const { length, metadata } of added.chunks) {
    shift(metadata, position)
    position += length
    columns.push(
      new Map([
        [2, i64Field(0)],
        [3, { type: THRIFT.STRUCT, value: metadata }],
      ]),
    )
    uncompressed += metadata.get(6)?.value as bigint
  }
  group.set(2, i64Field(uncompressed))
  group.set(5, i64Field(start))
  group.set(6, i64Field(writer.position - start))
}

function firstByte(metadata: ThriftStruct): number {
  const data = Number(metadata.get(9)?.value)
  const dictionary = Number(metadata.get(11)?.value ?? 0)
  return dictionary > 0 && dictionary < data ? dictionary : data
}

function shift(metadata: ThriftStruct, by: number): void {
  for (const id of [9, 10, 11]) {
    const field = metadata.get(id)
    if (field !== undefined) field.value = (field.value as bigint) + BigInt(by)
  }
  metadata.delete(14)
  metadata.delete(15)
}

function extendFooter(footer: ThriftStruct, schema: readonly ThriftStruct[]): void {
  const elements = listOf(footer, 2)
  const root = elements[0] as ThriftStruct
  const tops = schema.filter((_, i) => isTop(schema, i)).length
  root.set(5, i32Field(Number(root.get(5)?.value) + tops))
  elements.push(...schema)
  const orders = footer.get(7)
  const leaves = schema.filter((element) => !element.has(5)).length
  if (orders !== undefined) {
    const typeOrder: ThriftField = structField([[1, structField([])]])
    for (let i = 0; i < leaves; i++) (orders.value as ThriftList).items.push(typeOrder.value)
  }
  const kept = listOf(footer, 5).filter(
    (entry) => !SCHEMA_METADATA.has(Buffer.from((entry as ThriftStruct).get(1)?.value as Uint8Array).toString()),
  )
  if (kept.length === 0) footer.delete(5)
  else footer.set(5, { type: THRIFT.LIST, value: { type: THRIFT.STRUCT, items: kept } })
  footer.set(6, binaryField('tidemark'))
}

/** Whether element i is a column and not part of one before it: the elements are a tree in depth-first order. */
function isTop(schema: readonly ThriftStruct[], i: number): boolean {
  let open = 0
  for (let k = 0; k < i; k++) open += Number(schema[k].get(5)?.value ?? 0) - (open > 0 ? 1 : 0)
  return open === 0
}

function listOf(struct: ThriftStruct, id: number): ThriftList['items'] {
  const field = struct.get(id)
  return field === undefined ? [] : (field.value as ThriftList).items
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(buffer, at, length - at, position + at)
    if (bytesRead === 0) throw new RangeError('the file ends early')
    at += bytesRead
  }
  return buffer
}

/** A file being written from its start, hashed on the way. */
class HashedFile {
  position = 0
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')

  constructor(file: FileHandle) {
    this.#file = file
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    this.position += bytes.length
    for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten
  }

  digest(): string {
    return this.#hash.digest('hex')
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}
