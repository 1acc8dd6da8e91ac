import { open, rm } from 'node:fs/promises'
import { zstdDecompressSync } from 'node:zlib'
import { CompressionType, compressionRegistry, RecordBatchReader } from 'apache-arrow'
import type { RecordBatch, Schema } from 'apache-arrow'
import { createResultColumn } from '../../../features/aggregation/result-column.ts'
import type { ResultColumn } from '../../../features/aggregation/result-column.ts'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { Value, ValueType } from '../../../features/plan/field-type.ts'
import { failStore } from '../../errors.ts'
import { ParquetWriter, ROW_GROUP_ROWS } from '../parquet/parquet-writer.ts'
import { leafChunks, shapeOf } from '../parquet/value-leaves.ts'
import type { ColumnShape } from '../parquet/value-leaves.ts'
import { checkArrowFile } from './check-arrow-file.ts'
import { rowReader, shapeOfArrow } from './arrow-values.ts'
import type { RowReader } from './arrow-values.ts'
import { decodeLz4Frames } from './lz4-frame.ts'

compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: decodeLz4Frames })
compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes) })

/** Of strings, lists and the like in a row group. */
const ROW_GROUP_BYTES = 128 << 20
const OBJECT_BYTES = 64
/** Rows after which the size of a row group is looked at. */
const SLICE_ROWS = 2048

/**
 * The rows of an Arrow file (IPC file or stream format, LZ4 and zstd buffers too) as Parquet, row groups and one record batch in memory at a time. Counts
 * and unsigned 32-bit integers become int64, dictionaries their values. TM_FILE_UNREADABLE, which names a column that cannot be taken.
 */
export async function arrowToParquet(path: string, target: string): Promise<void> {
  const file = await open(path)
  let conversion: Conversion | null = null
  try {
    await checkArrowFile(file)
    const reader = await RecordBatchReader.from(file)
    await reader.open()
    conversion = await Conversion.open(target, path, reader.schema)
    for await (const batch of recordBatches(reader)) await conversion.add(batch)
    await conversion.finish()
  } catch (error) {
    await conversion?.close().catch(() => {})
    await rm(target, { force: true })
    if (isTidemarkError(error)) throw error
    throw unreadable(path, `cannot be read as Arrow: ${error instanceof Error ? error.message : String(error)}`, error)
  } finally {
    await file.close()
  }
}

function unreadable(path: string, what: string, cause?: unknown): Error {
  return failStore('TM_FILE_UNREADABLE', `${path} ${what}`, { details: { path }, cause })
}

async function* recordBatches(reader: RecordBatchReader): AsyncIterable<RecordBatch> {
  if (!reader.isFile()) {
    for await (const batch of reader as unknown as AsyncIterable<RecordBatch>) yield batch
    return
  }
  const batches = reader.footer?.numRecordBatches ?? 0
  for (let i = 0; i < batches; i++) {
    const batch = (await reader.readRecordBatch(i)) as RecordBatch | null
    if (batch === null) throw new RangeError(`record batch ${i} is missing`)
    yield batch
  }
}

interface TargetColumn {
  readonly name: string
  readonly type: ValueType
  readonly shape: ColumnShape
  values: ResultColumn
}

class Conversion {
  readonly #path: string
  readonly #writer: ParquetWriter
  readonly #columns: readonly TargetColumn[]
  /** Rows that the columns have room for: grows up to a full row group, so that a small file costs little. */
  #capacity = 0
  #rows = 0
  #bytes = 0

  private constructor(path: string, writer: ParquetWriter, columns: readonly TargetColumn[]) {
    this.#path = path
    this.#writer = writer
    this.#columns = columns
  }

  static async open(target: string, path: string, schema: Schema): Promise<Conversion> {
    if (schema == null || schema.fields.length === 0) throw unreadable(path, 'has no columns')
    const columns = schema.fields.map(({ name, type }): TargetColumn => {
      const found = shapeOfArrow(type)
      if (found === null)
        throw unreadable(
          path,
          `has a column ${name} of type ${String(type)}, which is not taken from Arrow files: leave it out, or write the file as Parquet`,
        )
      const shape = shapeOf(name, found.type)
      for (const [id, field] of found.annotation) shape.schema[0].set(id, field)
      return { name, type: found.type, shape, values: createResultColumn(found.type, 0) }
    })
    const elements = columns.flatMap(({ shape }) => shape.schema)
    return new Conversion(path, await ParquetWriter.open(target, elements, columns.length), columns)
  }

  async add(batch: RecordBatch): Promise<void> {
    const readers = this.#columns.map(({ name }, c) => {
      const data = batch.data.children[c]
      if (data?.length !== batch.numRows) throw unreadable(this.#path, `has a damaged column ${name}`)
      return this.#naming(name, () => rowReader(data))
    })
    for (let from = 0; from < batch.numRows;) {
      if (this.#rows === 0) this.#makeRoom(batch.numRows - from)
      const rows = Math.min(batch.numRows - from, this.#capacity - this.#rows, SLICE_ROWS)
      for (const [c, { name, values }] of this.#columns.entries())
        this.#naming(name, () => this.#copy(values, readers[c], from, rows))
      this.#rows += rows
      from += rows
      if (this.#rows === this.#capacity || this.#bytes >= ROW_GROUP_BYTES) await this.#flush()
    }
  }

  #makeRoom(rows: number): void {
    const capacity = Math.min(ROW_GROUP_ROWS, Math.max(SLICE_ROWS, rows, 2 * this.#capacity))
    if (capacity === this.#capacity) return
    this.#capacity = capacity
    for (const column of this.#columns) column.values = createResultColumn(column.type, capacity)
  }

  #copy(
    { storage, numbers, bigints, objects, nulls }: ResultColumn,
    read: RowReader,
    from: number,
    rows: number,
  ): void {
    for (let i = 0; i < rows; i++) {
      const value = read(from + i)
      const row = this.#rows + i
      nulls[row] = value === null ? 1 : 0
      if (storage === 'objects') {
        objects[row] = value
        this.#bytes += sizeOf(value)
      } else if (value === null) continue
      else if (storage === 'bigints') bigints[row] = value as bigint
      else numbers[row] = Number(value)
    }
  }

  #naming<T>(name: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw new RangeError(`column ${name}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
  }

  async #flush(): Promise<void> {
    const rows = this.#rows
    this.#rows = 0
    this.#bytes = 0
    await this.#writer.writeRowGroup(
      rows,
      this.#columns.flatMap(({ shape, values }) => leafChunks(shape, values, rows)),
    )
  }

  async finish(): Promise<void> {
    if (this.#rows > 0) await this.#flush()
    await this.#writer.finish()
  }

  async close(): Promise<void> {
    await this.#writer.close()
  }
}

function sizeOf(value: Value): number {
  if (value === null) return 8
  if (typeof value === 'string') return OBJECT_BYTES + 2 * value.length
  if (value instanceof Uint8Array) return OBJECT_BYTES + value.length
  if (value instanceof Map) {
    let bytes = OBJECT_BYTES
    for (const [key, item] of value) bytes += sizeOf(key as Value) + sizeOf(item as Value)
    return bytes
  }
  return Array.isArray(value) ? value.reduce((sum: number, item: Value) => sum + sizeOf(item), OBJECT_BYTES) : 8
}
