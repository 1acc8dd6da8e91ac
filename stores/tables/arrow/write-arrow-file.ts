import { rm } from 'node:fs/promises'
import type { DuckDBConnection } from '@duckdb/node-api'
import { sqlName } from '../tables.ts'
import { ArrowWriter, hasArrowType } from './arrow-writer.ts'

export interface ArrowFileOptions {
  readonly sql: string
  readonly path: string
  readonly milliseconds: ReadonlySet<string>
}

/** A query's rows as an Arrow file; columns of types that Arrow lacks (UUID, enums, intervals, 128-bit integers) as text. */
export async function writeArrowFile(connection: DuckDBConnection, options: ArrowFileOptions): Promise<void> {
  const { sql, path, milliseconds } = options
  const first = await connection.stream(sql)
  const names = first.columnNames()
  const asText = first
    .columnTypes()
    .flatMap((type, i) => (hasArrowType(type) ? [] : [`CAST(${sqlName(names[i])} AS VARCHAR) AS ${sqlName(names[i])}`]))
  const result =
    asText.length === 0 ? first : await connection.stream(`SELECT * REPLACE (${asText.join(', ')}) FROM (${sql})`)
  const types = result.columnTypes()
  const columns = names.map((name, i) => ({ name, type: types[i], milliseconds: milliseconds.has(name) }))
  const writer = await ArrowWriter.open(path, columns)
  try {
    for (;;) {
      const chunk = await result.fetchChunk()
      if (chunk === null || chunk.rowCount === 0) break
      await writer.write(chunk)
    }
    await writer.finish()
  } catch (error) {
    await writer.close()
    await rm(path, { force: true })
    throw error
  }
}
