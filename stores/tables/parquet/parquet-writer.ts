import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { encodeColumnChunk } from './column-chunk.ts'
import type { LeafChunk } from './column-chunk.ts'
import { binaryField, encodeThrift, i32Field, i64Field, listField, structField, THRIFT } from './thrift-compact.ts'
import type { ThriftStruct } from './thrift-compact.ts'

const MAGIC = Buffer.from('PAR1')

/** Rows of a group where the writer chooses: what DuckDB takes by default. */
export const ROW_GROUP_ROWS = 122_880

/** A whole Parquet file, row group by row group. The same calls make the same bytes. */
export class ParquetWriter {
  readonly #file: FileHandle
  readonly #schema: readonly ThriftStruct[]
  readonly #columns: number
  readonly #hash: Hash = createHash('sha256')
  readonly #rowGroups: ThriftStruct[] = []
  #position = 0
  #rows = 0

  private constructor(file: FileHandle, schema: readonly ThriftStruct[], columns: number) {
    this.#file = file
    this.#schema = schema
    this.#columns = columns
  }

  /** `schema`: elements of `columns` columns, depth first, without the root (see `shapeOf`). */
  static async open(path: string, schema: readonly ThriftStruct[], columns: number): Promise<ParquetWriter> {
    const writer = new ParquetWriter(await open(path, 'w'), schema, columns)
    await writer.#write([MAGIC])
    return writer
  }

  /** The leaves of all columns, in schema order. */
  async writeRowGroup(rows: number, leaves: Iterable<LeafChunk>): Promise<void> {
    const start = this.#position
    const chunks: ThriftStruct[] = []
    let uncompressed = 0n
    for (const leaf of leaves) {
      const { pages, metadata } = encodeColumnChunk(leaf)
      for (const field of [9, 11]) {
        const offset = metadata.get(field)
        if (offset !== undefined) offset.value = (offset.value as bigint) + BigInt(this.#position)
      }
      uncompressed += metadata.get(6)?.value as bigint
      chunks.push(
        new Map([
          [2, i64Field(0)],
          [3, { type: THRIFT.STRUCT, value: metadata }],
        ]),
      )
      await this.#write(pages)
    }
    this.#rows += rows
    this.#rowGroups.push(
      new Map([
        [1, listField(THRIFT.STRUCT, chunks)],
        [2, i64Field(uncompressed)],
        [3, i64Field(rows)],
        [5, i64Field(start)],
        [6, i64Field(this.#position - start)],
      ]),
    )
  }

  /** Writes the footer and closes. Returns the SHA-256 of the file, in hex. */
  async finish(metadata: Readonly<Record<string, string>> = {}): Promise<string> {
    const leaves = this.#schema.filter((element) => !element.has(5)).length
    const entries = Object.entries(metadata).map(
      ([key, value]): ThriftStruct =>
        new Map([
          [1, binaryField(key)],
          [2, binaryField(value)],
        ]),
    )
    const root: ThriftStruct = new Map([
      [4, binaryField('schema')],
      [5, i32Field(this.#columns)],
    ])
    const typeOrder = structField([[1, structField([])]])
    const footer: ThriftStruct = new Map([
      [1, i32Field(1)],
      [2, listField(THRIFT.STRUCT, [root, ...this.#schema])],
      [3, i64Field(this.#rows)],
      [4, listField(THRIFT.STRUCT, this.#rowGroups)],
      ...(entries.length === 0 ? [] : [[5, listField(THRIFT.STRUCT, entries)] as const]),
      [6, binaryField('tidemark')],
      [
        7,
        listField(
          THRIFT.STRUCT,
          Array.from({ length: leaves }, () => typeOrder.value),
        ),
      ],
    ])
    const bytes = encodeThrift(footer)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    await this.#write([bytes, length, MAGIC])
    await this.close()
    return this.#hash.digest('hex')
  }

  /** Also after an error; the file is then incomplete. */
  async close(): Promise<void> {
    await this.#file.close()
  }

  async #write(parts: readonly Uint8Array[]): Promise<void> {
    for (const bytes of parts) {
      this.#hash.update(bytes)
      this.#position += bytes.length
      for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten
    }
  }
}
