import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { chunkPlace, flatColumns } from '../../../../stores/tables/parquet/flat-columns.ts'
import type { FlatColumn } from '../../../../stores/tables/parquet/flat-columns.ts'
import {
  readIntegerChunk,
  readNumberChunk,
  readTextChunk,
} from '../../../../stores/tables/parquet/read-column-chunk.ts'
import { readParquetFile } from '../../../../stores/tables/parquet/splice.ts'
import type { ParquetFile } from '../../../../stores/tables/parquet/splice.ts'
import { temporaryFolder } from '../../../support/folders.ts'
import { Random, runSeed } from '../../../support/random.ts'

const CASES = 6
/** Few values (a dictionary), many (none), with and without nulls. */
const COLUMNS: readonly (readonly [name: string, sql: string])[] = [
  ['few', `(hash(i, S) % 7)::DOUBLE / 3`],
  ['many', `(hash(i, S) % 1000000007)::DOUBLE / 7`],
  ['holes', `CASE WHEN hash(i, S, 1) % 3 > 0 THEN (hash(i, S) % 100000)::DOUBLE / 9 END`],
  ['narrow', `CASE WHEN hash(i, S, 2) % 5 > 0 THEN (hash(i, S) % 1000)::FLOAT / 3 END`],
  ['small', `(hash(i, S) % 4294967296)::BIGINT::DOUBLE::BIGINT % 2147483648 - 1073741824`],
  ['int', `((hash(i, S) % 2000000)::INTEGER - 1000000)::INTEGER`],
  ['long', `CASE WHEN hash(i, S, 3) % 4 > 0 THEN (hash(i, S) % 9223372036854775807)::BIGINT - 4611686018427387904 END`],
  ['flag', `CASE WHEN hash(i, S, 4) % 6 > 0 THEN hash(i, S) % 2 = 0 END`],
  ['text', `CASE WHEN hash(i, S, 5) % 6 > 0 THEN 'ü' || (hash(i, S) % 50) END`],
  ['texts', `CASE WHEN hash(i, S, 6) % 9 > 0 THEN repeat('x', (hash(i, S) % 40)::INTEGER) || i END`],
  ['none', `NULL::DOUBLE`],
  ['sorted', `i::BIGINT`],
  ['at', `make_timestamp(1700000000000000 + i * 1234567)`],
]

test(`column chunks come out as DuckDB reads them, ${CASES} random files`, async (context) => {
  const seed = runSeed('column-chunks')
  const folder = await temporaryFolder(context)
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  for (let number = 0; number < CASES; number++) {
    const random = new Random(seed + number)
    const rows = random.pick([0, 1, 100, 5000, 40_000])
    const path = join(folder, `${number}.parquet`)
    const select = COLUMNS.map(([name, sql]) => `${sql.replaceAll(/\bS\b/g, String(random.below(1000)))} AS ${name}`)
    const options = `COMPRESSION ${random.pick(['zstd', 'uncompressed', 'gzip'])}, ROW_GROUP_SIZE ${random.pick([2048, 10_000, 122_880])}`
    await connection.run(
      `COPY (SELECT ${select.join(', ')} FROM range(${rows}) r(i)) TO '${path}' (FORMAT parquet, ${options})`,
    )
    const file = await readParquetFile(path)
    const columns = flatColumns(file)
    for (const [name] of COLUMNS) {
      const column = columns.get(name)
      assert.ok(column !== undefined && column.meaning !== 'other', name)
      const sql =
        name === 'at'
          ? 'epoch_us("at")'
          : name === 'text' || name === 'texts'
            ? name
            : `${name}::${name === 'narrow' ? 'DOUBLE::' : ''}VARCHAR`
      const expected = (await connection.runAndReadAll(`SELECT ${sql} FROM '${path}'`)).getRows().map((row) => row[0])
      const found = readAll(file, column).map((value) =>
        value === null || column.meaning === 'text' ? value : String(value),
      )
      const shown = expected.map((value) =>
        value === null || column.meaning === 'text' ? value : String(normalised(value, column)),
      )
      assert.deepEqual(found, shown, `${name} of case ${number}, seed ${seed}, ${options}`)
    }
  }
})

function normalised(value: unknown, { meaning }: FlatColumn): unknown {
  if (meaning === 'bool') return value === 'true' ? 1 : 0
  return meaning === 'number' ? Number(value) : value
}

function readAll(file: ParquetFile, column: FlatColumn): (string | number | bigint | null)[] {
  const handle = openSync(file.path, 'r')
  try {
    return file.rowGroups.flatMap((rows, g): (string | number | bigint | null)[] => {
      const place = chunkPlace(file, g, column)
      assert.ok(place !== null)
      if (column.meaning === 'text') {
        const { bytes, starts, ends, codes, nulls } = readTextChunk(handle, place)
        const text = (entry: number): string => Buffer.from(bytes.subarray(starts[entry], ends[entry])).toString()
        return Array.from({ length: rows }, (_, i) => (nulls?.[i] === 1 ? null : text(codes[i])))
      }
      const { values, nulls } =
        column.name === 'long' ? readIntegerChunk(handle, place) : readNumberChunk(handle, place)
      return Array.from({ length: rows }, (_, i) => (nulls?.[i] === 1 ? null : values[i]))
    })
  } finally {
    closeSync(handle)
  }
}
