import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { FieldPlan, FieldType, Value } from '../../../features/plan/field-type.ts'
import type { Column } from '../../../features/values/column.ts'
import { columnValue } from '../../../features/values/column.ts'
import { gatherColumn } from '../../../features/values/gather.ts'
import { openTables } from '../../../stores/tables/open-tables.ts'
import { ColumnAccumulator } from '../../../stores/tables/parquet/column-accumulators.ts'
import { ParquetWriter } from '../../../stores/tables/parquet/parquet-writer.ts'
import { temporaryFolder } from '../../support/folders.ts'
import { Random, runSeed } from '../../support/random.ts'

const TYPES: readonly FieldType[] = [
  { kind: 'bool' },
  { kind: 'int32' },
  { kind: 'int64' },
  { kind: 'float32' },
  { kind: 'float64' },
  { kind: 'string' },
  { kind: 'bytes' },
  { kind: 'timestamp' },
  { kind: 'enum', values: ['a', 'b'] },
  { kind: 'vector', length: 3 },
]
const FIELDS: readonly FieldPlan[] = TYPES.flatMap((type) =>
  [true, false].map((nullable) => ({ name: `${type.kind}_${nullable}`, type, nullable, nonFinite: 'reject' })),
)

function columnOf({ type, nullable }: FieldPlan, rows: number, random: Random, distinct: number): Column {
  const pick = (): number => random.below(distinct)
  const nulls = nullable ? Uint8Array.from({ length: rows }, () => (random.below(4) === 0 ? 1 : 0)) : null
  const zeroed =
    <T>(value: (row: number) => T, zero: T) =>
    (_: unknown, row: number): T =>
      nulls !== null && nulls[row] === 1 ? zero : value(row)
  const numbers = (value: () => number): Float64Array => Float64Array.from({ length: rows }, zeroed(value, 0))
  switch (type.kind) {
    case 'bool':
      return {
        storage: 'bool',
        type,
        nulls,
        values: Uint8Array.from(
          { length: rows },
          zeroed(() => random.below(2), 0),
        ),
      }
    case 'int64':
      return {
        storage: 'int64',
        type,
        nulls,
        values: BigInt64Array.from(
          { length: rows },
          zeroed(() => (BigInt(pick()) << 44n) - 2n ** 62n, 0n),
        ),
      }
    case 'string':
    case 'enum': {
      const dictionary = type.kind === 'enum' ? ['a', 'b'] : Array.from({ length: distinct }, (_, i) => `grüße ${i}`)
      const codes = Int32Array.from(
        { length: rows },
        zeroed(() => random.below(dictionary.length), 0),
      )
      return { storage: 'string', type, nulls, dictionary, codes }
    }
    case 'bytes':
      return {
        storage: 'bytes',
        type,
        nulls,
        values: Array.from(
          { length: rows },
          zeroed(() => new Uint8Array(random.below(4)).fill(pick()), new Uint8Array(0)),
        ),
      }
    case 'vector': {
      const values = new Float32Array(rows * type.length)
      for (let row = 0; row < rows; row++)
        if (nulls === null || nulls[row] === 0)
          for (let i = 0; i < type.length; i++) values[row * type.length + i] = pick() / 8
      return { storage: 'vector', type, nulls, values }
    }
    case 'int32':
      return { storage: 'number', type, nulls, values: numbers(() => pick() - 2 ** 31) }
    case 'timestamp':
      return { storage: 'number', type, nulls, values: numbers(() => pick() * 7919 - 8.64e15) }
    case 'float32':
      return { storage: 'number', type, nulls, values: numbers(() => Math.fround(pick() / 7)) }
    default:
      return { storage: 'number', type, nulls, values: numbers(() => random.pick([pick() / 7, 5e-324, -1e300, 0])) }
  }
}

const plain = (value: Value): unknown => (value instanceof Uint8Array ? [...value] : value)

test(
  'what is written of columns of events is read back, value by value, whatever pieces they came in',
  { timeout: 60_000 },
  async (context) => {
    const random = new Random(runSeed('archive writer'))
    const folder = await temporaryFolder(context)
    const tables = await openTables({ temporaryFolder: join(folder, 'spill') })
    context.after(() => tables.close())
    for (const distinct of [2, 40, 100_000]) {
      const rows = 1 + random.below(3000)
      const columns = FIELDS.map((field) => columnOf(field, rows, random, distinct))
      const write = async (path: string): Promise<Buffer> => {
        const accumulators = FIELDS.map((field) => new ColumnAccumulator(field, 1000))
        const schema = accumulators.flatMap(({ shape }) => shape.schema)
        const writer = await ParquetWriter.open(path, schema, FIELDS.length)
        for (let from = 0; from < rows; from += 1000) {
          const until = Math.min(rows, from + 1000)
          for (let at = from; at < until;) {
            const to = Math.min(until, at + 1 + random.below(400))
            // Sometimes from a column of its own, with a dictionary in another order.
            const piece = Int32Array.from({ length: to - at }, (_, i) => at + i)
            const own = random.below(2) === 0
            accumulators.forEach((accumulator, c) =>
              own
                ? accumulator.append(gatherColumn(columns[c], piece), 0, piece.length)
                : accumulator.append(columns[c], at, to),
            )
            at = to
          }
          await writer.writeRowGroup(
            until - from,
            accumulators.map((accumulator) => accumulator.finish()),
          )
        }
        await writer.finish({ tidemark: 'ä' })
        return readFile(path)
      }
      const path = join(folder, `${distinct}.parquet`)
      assert.ok((await write(path)).equals(await write(join(folder, 'again.parquet'))))
      assert.deepEqual(await tables.readParquetMetadata(path), { tidemark: 'ä' })
      const select = FIELDS.map(({ name, type }) =>
        ['int32', 'float32', 'float64', 'timestamp'].includes(type.kind) ? `"${name}"::DOUBLE` : `"${name}"`,
      )
      const read = await tables.queryAll(`SELECT ${select.join(', ')} FROM read_parquet('${path}')`, FIELDS)
      assert.equal(read.rows, rows)
      FIELDS.forEach(({ name }, c) => {
        for (let row = 0; row < rows; row++)
          assert.deepEqual(
            plain(columnValue(read.columns[c], row)),
            plain(columnValue(columns[c], row)),
            `${name}, row ${row}`,
          )
      })
    }
  },
)
