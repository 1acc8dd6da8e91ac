import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import type { FieldPlan, FieldType } from '../../../features/plan/field-type.ts'
import type { Column } from '../../../features/values/column.ts'
import { columnValue } from '../../../features/values/column.ts'
import { openTables } from '../../../stores/tables/open-tables.ts'
import { sqlText } from '../../../stores/tables/tables.ts'
import type { ColumnBatch, ReadOptions, Tables } from '../../../stores/tables/tables.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'

const field = (name: string, kind: Exclude<FieldType['kind'], 'enum' | 'vector'>): FieldPlan => ({
  name,
  type: { kind },
  nullable: true,
  nonFinite: 'reject',
})
const vector: FieldPlan = { ...field('v', 'float32'), type: { kind: 'vector', length: 2 } }

async function open(context: TestContext): Promise<{ tables: Tables; folder: string }> {
  const folder = await temporaryFolder(context)
  const tables = await openTables({ temporaryFolder: join(folder, 'spill') })
  context.after(() => tables.close())
  return { tables, folder }
}

async function rowsOf(batches: AsyncIterable<ColumnBatch>): Promise<unknown[][]> {
  const found: unknown[][] = []
  for await (const { rows, columns } of batches)
    for (let row = 0; row < rows; row++) found.push(columns.map((column) => columnValue(column, row)))
  return found
}

async function readText(
  context: TestContext,
  file: { name: string; text: string },
  fields: readonly FieldPlan[],
  options?: ReadOptions,
): Promise<unknown[][]> {
  const { tables, folder } = await open(context)
  const path = join(folder, file.name)
  await writeFile(path, file.text)
  return rowsOf(tables.readColumns(path, fields, options))
}

test('rows being read are not cut short by other calls', async (context) => {
  const { tables } = await open(context)
  const fields = [field('n', 'float64')]
  let rows = 0
  for await (const batch of tables.queryColumns('SELECT range::DOUBLE AS n FROM range(300000)', fields)) {
    rows += batch.rows
    await tables.execute('SELECT 1')
    await tables.createTable('other', fields)
    await tables.appendColumns('other', fields, batch)
    assert.equal((await tables.queryAll('SELECT n FROM other', fields)).rows, batch.rows)
  }
  assert.equal(rows, 300_000)
})

test('every type survives a table, a Parquet file and the way back, nulls too', async (context) => {
  const { tables, folder } = await open(context)
  const fields = [
    field('b', 'bool'),
    field('i', 'int32'),
    field('l', 'int64'),
    field('f', 'float32'),
    field('d', 'float64'),
    field('s', 'string'),
    field('y', 'bytes'),
    field('t', 'timestamp'),
    vector,
  ]
  const nulls = Uint8Array.of(0, 1, 0)
  const number = (at: number, ...values: number[]): Column => ({
    storage: 'number',
    type: fields[at].type,
    values: Float64Array.from(values),
    nulls,
  })
  const columns: Column[] = [
    { storage: 'bool', type: fields[0].type, values: Uint8Array.of(1, 0, 0), nulls },
    number(1, -(2 ** 31), 0, 7),
    { storage: 'int64', type: fields[2].type, values: BigInt64Array.of(-(2n ** 63n), 0n, 2n ** 53n + 1n), nulls },
    number(3, Math.fround(0.1), 0, 2 ** -149),
    number(4, 5e-324, 0, 0.1),
    { storage: 'string', type: fields[5].type, codes: Int32Array.of(1, 0, 0), dictionary: ['', "ü 'q\0"], nulls },
    {
      storage: 'bytes',
      type: fields[6].type,
      values: [Uint8Array.of(0, 255), new Uint8Array(), new Uint8Array()],
      nulls,
    },
    number(7, -1, 0, 1_700_000_000_123),
    {
      storage: 'vector',
      type: vector.type as FieldType & { kind: 'vector' },
      values: Float32Array.of(1, 2, 0, 0, 3, 4),
      nulls,
    },
  ]
  await tables.createTable('all', fields)
  await tables.appendColumns('all', fields, { rows: 3, columns })
  const path = join(folder, "it's.parquet")
  await tables.execute(
    `COPY "all" TO ${sqlText(path)} (FORMAT parquet, KV_METADATA {tidemark: ${sqlText(`{"a":"it's"}`)}})`,
  )
  const expected = [0, 1, 2].map((row) => columns.map((column) => columnValue(column, row)))
  const plain = (rows: unknown[][]): unknown[][] =>
    rows.map((row) => row.map((value) => (ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : value)))
  assert.deepEqual(plain(await rowsOf(tables.readColumns(path, fields))), plain(expected))
  assert.equal((await tables.readParquetMetadata(path)).tidemark, `{"a":"it's"}`)
})

test('CSV cells are taken as the field says, not as they look', async (context) => {
  const text = 'id,code,n,empty,when\n7,001,3.0,,2024-01-01T02:00:00+02:00\n8,2,-4,,1704067200000\n'
  const fields = [
    field('id', 'string'),
    field('code', 'string'),
    field('n', 'int64'),
    field('empty', 'float64'),
    field('when', 'timestamp'),
  ]
  assert.deepEqual(await readText(context, { name: 'a.csv', text }, fields), [
    ['7', '001', 3n, null, 1_704_067_200_000],
    ['8', '2', -4n, null, 1_704_067_200_000],
  ])
})

test('JSON lines may lack columns that may be null; without a line there is nothing to read', async (context) => {
  const fields = [field('id', 'string'), field('note', 'string')]
  for (const text of ['', '\n\n', '  \n'])
    assert.deepEqual(await readText(context, { name: 'none.jsonl', text }, fields), [], JSON.stringify(text))
  const file = { name: 'some.jsonl', text: '{"id":"a"}\n{"id":"b"}\n' }
  assert.deepEqual(await readText(context, file, fields, { absent: new Set(['note']) }), [
    ['a', null],
    ['b', null],
  ])
  for (const absent of [new Set<string>(), new Set(['id'])])
    await assert.rejects(readText(context, file, fields, { absent }), hasErrorCode('TM_COLUMN_MISSING'))
  await assert.rejects(
    readText(context, { name: 'some.csv', text: 'id\na\n' }, fields, { absent: new Set(['note']) }),
    hasErrorCode('TM_COLUMN_MISSING'),
  )
})

test('an empty CSV cell is null, except where the caller keeps empty strings', async (context) => {
  const file = { name: 'a.csv', text: 'key,other\n,\na,b\n"",""\n' }
  const fields = [field('key', 'string'), field('other', 'string')]
  assert.deepEqual(await readText(context, file, fields, { emptyStrings: new Set(['key']) }), [
    ['', null],
    ['a', 'b'],
    ['', null],
  ])
})

test('JSON strings stay what they are; numbers keep all digits; other JSON types are refused', async (context) => {
  const uuid = '6F9619FF-8B86-D011-B42D-00C04FC964FF'
  const text = [
    `{"id":"${uuid}","day":"2024-01-01","l":9007199254740993,"v":[1,2],"t":"2024-01-01T00:00:00.1239Z"}`,
    `{"id":null,"day":"x","t":1704067200000}`,
  ].join('\n')
  const fields = [field('id', 'string'), field('day', 'string'), field('l', 'int64'), field('t', 'timestamp')]
  assert.deepEqual(await readText(context, { name: 'a.jsonl', text }, fields), [
    [uuid, '2024-01-01', 9007199254740993n, 1_704_067_200_123],
    [null, 'x', null, 1_704_067_200_000],
  ])
  const number = { name: 'b.jsonl', text: '{"a":"x"}\n{"a":12}\n' }
  await assert.rejects(readText(context, number, [field('a', 'string')]), isWrongType('a', 2))
  const string = { name: 'c.jsonl', text: '{"a":1}\n{"a":2}\n{"a":"3"}\n' }
  await assert.rejects(readText(context, string, [field('a', 'float64')]), isWrongType('a', 3))
})

test('a time before 1970 is floored to its millisecond', async (context) => {
  const text = 't\n1969-12-31T23:59:59.9995Z\n'
  assert.deepEqual(await readText(context, { name: 'a.csv', text }, [field('t', 'timestamp')]), [[-1]])
})

test('a wrong value names its column and first row, and is never rounded to fit', async (context) => {
  const cases: [string, FieldPlan, number][] = [
    ['n\n1\n2\nx\n', field('n', 'float64'), 3],
    ['n\n1\n1.5\n', field('n', 'int32'), 2],
    ['n\n3000000000\n', field('n', 'int32'), 1],
    ['n\n1\n9223372036854775808\n', field('n', 'int64'), 2],
    ['n\ntrue\nperhaps\n', field('n', 'bool'), 2],
    ['n\n2024-01-01\n2024-13-01\n', field('n', 'timestamp'), 2],
  ]
  for (const [text, plan, row] of cases)
    await assert.rejects(readText(context, { name: 'a.csv', text }, [plan]), isWrongType('n', row), text)
})

test('Parquet doubles are whole or refused where an int32 is wanted', async (context) => {
  const { tables, folder } = await open(context)
  const path = join(folder, 'a.parquet')
  await tables.execute(`COPY (SELECT unnest([1.0, NULL, 2.5]::DOUBLE[]) AS n) TO ${sqlText(path)} (FORMAT parquet)`)
  await assert.rejects(rowsOf(tables.readColumns(path, [field('n', 'int32')])), isWrongType('n', 3))
  assert.deepEqual(await rowsOf(tables.readColumns(path, [field('n', 'float64')])), [[1], [null], [2.5]])
  await assert.rejects(rowsOf(tables.readColumns(path, [field('n', 'string')])), hasErrorCode('TM_COLUMN_TYPE'))
})

test('a missing file, an unreadable one, an unknown extension and a missing column each say so', async (context) => {
  const { tables, folder } = await open(context)
  await assert.rejects(tables.describe(join(folder, 'none.csv')), hasErrorCode('TM_FILE_MISSING'))
  for (const name of ['a.parquet', 'a.txt']) {
    await writeFile(join(folder, name), 'not that')
    await assert.rejects(tables.describe(join(folder, name)), hasErrorCode('TM_FILE_UNREADABLE'))
  }
  const missing = readText(context, { name: 'a.csv', text: 'a\n1\n' }, [field('b', 'string')])
  await assert.rejects(missing, hasErrorCode('TM_COLUMN_MISSING'))
})

function isWrongType(column: string, row: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(hasErrorCode('TM_COLUMN_TYPE')(error), String(error))
    const { details } = error as { details: { column: string; row: number } }
    assert.deepEqual([details.column, details.row], [column, row])
    return true
  }
}
