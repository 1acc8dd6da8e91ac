import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { AsyncByteQueue, Field, makeData, RecordBatch, RecordBatchFileWriter, Schema, Struct } from 'apache-arrow'
import type { DuckDBDataChunk, DuckDBType } from '@duckdb/node-api'
import { invariant } from '../../../features/errors/tidemark-error.ts'
import { appendVector, columnBuilder } from './column-builder.ts'
import type { ColumnBuilder } from './value-builders.ts'

/** Rows of a record batch, about; fewer where they are wide. */
const BATCH_ROWS = 65_536
const BATCH_CHUNK_BYTES = 64 << 20

export interface ArrowColumn {
  readonly name: string
  readonly type: DuckDBType
  /** Times in it as UTC milliseconds; else in the unit they have. */
  readonly milliseconds: boolean
}

/** Whether Arrow has a type for it; what has none can be written as text. */
export function hasArrowType(type: DuckDBType): boolean {
  return columnBuilder(type, { milliseconds: false }) !== null
}

/** What the writer puts out between two writes to the file. */
class Pending extends AsyncByteQueue {
  parts: Uint8Array[] = []

  override write(bytes: Uint8Array): void {
    this.parts.push(bytes)
  }
}

/** An Arrow file (IPC file format, uncompressed), one record batch in memory at a time. The same chunks make the same bytes. */
export class ArrowWriter {
  readonly #file: FileHandle
  readonly #pending = new Pending()
  readonly #writer = new RecordBatchFileWriter()
  readonly #builders: readonly ColumnBuilder[]
  readonly #schema: Schema
  #rows = 0
  #bytes = 0

  private constructor(file: FileHandle, columns: readonly ArrowColumn[]) {
    this.#file = file
    this.#builders = columns.map(({ type, milliseconds }) => {
      const builder = columnBuilder(type, { milliseconds })
      invariant(builder !== null, 'a column of a type that Arrow lacks was to be written as text')
      return builder
    })
    this.#schema = new Schema(columns.map(({ name }, i) => new Field(name, this.#builders[i].type, true)))
    this.#writer.reset(this.#pending, this.#schema)
  }

  static async open(path: string, columns: readonly ArrowColumn[]): Promise<ArrowWriter> {
    return new ArrowWriter(await open(path, 'w'), columns)
  }

  async write(chunk: DuckDBDataChunk): Promise<void> {
    this.#builders.forEach((builder, i) => appendVector(builder, chunk.getColumnVector(i), chunk.rowCount))
    this.#rows += chunk.rowCount
    this.#bytes = this.#builders.reduce((sum, { bytes }) => sum + bytes, 0)
    if (this.#rows >= BATCH_ROWS || this.#bytes >= BATCH_CHUNK_BYTES) await this.#flush()
  }

  async finish(): Promise<void> {
    if (this.#rows > 0) await this.#flush()
    this.#writer.close()
    await this.#drain()
    await this.#file.sync()
    await this.close()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    const children = this.#builders.map((builder) => builder.finish())
    const data = makeData({
      type: new Struct(this.#schema.fields),
      length: this.#rows,
      nullCount: 0,
      children,
    } as never)
    this.#rows = 0
    this.#writer.write(new RecordBatch(this.#schema, data as never))
    await this.#drain()
  }

  async #drain(): Promise<void> {
    const bytes = Buffer.concat(this.#pending.parts)
    this.#pending.parts = []
    for (let at = 0; at < bytes.length;) at += (await this.#file.write(bytes, at, bytes.length - at)).bytesWritten
  }
}
