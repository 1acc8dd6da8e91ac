import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { isTidemarkError } from '../../../features/errors/tidemark-error.ts'
import type { FieldPlan } from '../../../features/plan/field-type.ts'
import { columnValue } from '../../../features/values/column.ts'
import { decodeLz4Frames } from '../../../stores/tables/arrow/lz4-frame.ts'
import { openTables } from '../../../stores/tables/open-tables.ts'
import type { Tables } from '../../../stores/tables/tables.ts'
import { hasErrorCode, temporaryFolder } from '../../support/folders.ts'
import { readParquet } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

/** Written by pyarrow (see make.py there). */
const FILES = 'test/support/arrow-files'

async function open(context: TestContext): Promise<{ tables: Tables; folder: string }> {
  const folder = await temporaryFolder(context)
  const tables = await openTables({ temporaryFolder: join(folder, 'spill') })
  context.after(() => tables.close())
  return { tables, folder }
}

const plain = (value: unknown): unknown => {
  if (value === null || typeof value !== 'object') return Object.is(value, -0) ? '-0' : value
  if (value instanceof Uint8Array) return [...value]
  if (Array.isArray(value)) return value.map(plain)
  const { bytes, items, entries, micros, nanos, days, scale, value: whole } = value as Record<string, unknown>
  if (entries !== undefined)
    return (entries as { key: unknown; value: unknown }[]).map((e) => [plain(e.key), plain(e.value)])
  if (scale !== undefined) return `${whole as bigint}e-${scale as number}`
  return plain(bytes ?? items ?? micros ?? nanos ?? days)
}

const rowsOf = async (tables: Tables, path: string): Promise<Record<string, unknown>[]> =>
  (await readParquet(await tables.readableFile(path))).map((row) =>
    Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])),
  )

/** The third row of `all.arrow`, as make.py has it. */
const THIRD: Readonly<Record<string, unknown>> = {
  b: false,
  i8: 127,
  u16: 65535,
  i32: 2147483647,
  u32: 4294967295n,
  i64: 9223372036854775807n,
  u64: 9223372036854775807n,
  f16: -2.25,
  f32: '-0',
  f64: 5e-324,
  s: 'grüße \u2028',
  ls: 'b',
  sv: 'longer than twelve bytes',
  d: 'y',
  by: [0, 255],
  fb: [0, 1, 2, 3],
  ts_s: -1_000_000n,
  ts_ms: -1000n,
  ts_us: -1n,
  ts_ns: -1n,
  day: -1,
  day64: -1,
  tm: 1n,
  dec: '9999999999999999e-2',
  l: [],
  fl: [3, 4],
  m: [],
  nn: null,
}

test('files of pyarrow: every type, nulls, dictionaries, views, both formats, LZ4 and zstd', async (context) => {
  const { tables } = await open(context)
  const rows = await rowsOf(tables, join(FILES, 'all.arrow'))
  assert.equal(rows.length, 4)
  assert.deepEqual(rows[2], THIRD)
  assert.ok(Object.values(rows[1]).every((value) => value === null))
  assert.equal(rows[0].i64, -(2n ** 63n))
  assert.equal(rows[3].i64, 2n ** 53n + 1n)
  assert.deepEqual(rows[0].l, [1.5, null])
  assert.deepEqual(rows[0].m, [
    ['a', 1n],
    ['b', null],
  ])
  for (const name of ['all-stream.arrow', 'all-lz4.arrow', 'all-zstd.arrow'])
    assert.deepEqual(await rowsOf(tables, join(FILES, name)), rows, name)
  const feather = await rowsOf(tables, join(FILES, 'default.feather'))
  assert.deepEqual(
    feather.map(({ k, v }) => [k, v]),
    Array.from({ length: 600 }, (_, i) => [i % 3 === 1 ? 'b' : 'a', BigInt(i)]),
  )
  assert.deepEqual(await rowsOf(tables, join(FILES, 'empty.arrow')), [])
  assert.deepEqual(await tables.describe(join(FILES, 'empty.arrow')), [{ name: 'a', type: 'BIGINT' }])
})

test('files of polars: text views, categories, plain and zstd', async (context) => {
  const { tables } = await open(context)
  for (const name of ['polars.arrow', 'polars-zstd.arrow']) {
    const rows = await rowsOf(tables, join(FILES, name))
    assert.deepEqual(rows, [
      { s: 'a', c: 'x', i: 1n, f: 0.1, b: true, t: 1_704_067_200_000_000n, l: [1.5, 2], by: [97, 98] },
      { s: null, c: 'y', i: null, f: null, b: null, t: null, l: null, by: null },
      { s: 'longer than twelve bytes', c: null, i: 2n ** 53n + 1n, f: '-0', b: false, t: -1n, l: [], by: [] },
    ])
  }
})

test('what cannot be taken is refused in a sentence', async (context) => {
  const { tables, folder } = await open(context)
  const refusal = (message: RegExp) => (error: unknown) =>
    isTidemarkError(error) && error.code === 'TM_FILE_UNREADABLE' && message.test(error.message)
  await assert.rejects(tables.describe(join(FILES, 'struct.arrow')), refusal(/column st of type Struct.*Parquet/))
  await assert.rejects(tables.describe(join(FILES, 'wide-u64.arrow')), refusal(/column u: 18446744073709551615/))
  await assert.rejects(tables.describe(join(folder, 'none.arrow')), hasErrorCode('TM_FILE_MISSING'))
  const text = join(folder, 'text.feather')
  await writeFile(text, 'card_id,amount\nc,1\n')
  await assert.rejects(tables.describe(text), refusal(/no Arrow file/))
  const field: FieldPlan = { name: 's', type: { kind: 'float64' }, nullable: true, nonFinite: 'reject' }
  const reading = tables.readColumns(join(FILES, 'all.arrow'), [field])[Symbol.asyncIterator]()
  await assert.rejects(reading.next(), (error: unknown) => {
    return isTidemarkError(error) && error.code === 'TM_COLUMN_TYPE' && error.message.includes('all.arrow')
  })
})

test(
  'a damaged file is an error with a code, or other values, and never the end',
  { timeout: 120_000 },
  async (context) => {
    const { tables, folder } = await open(context)
    const random = new Random(runSeed('damaged arrow'))
    let refused = 0
    let changed = 0
    for (const name of ['all.arrow', 'all-stream.arrow', 'all-lz4.arrow', 'all-zstd.arrow']) {
      const whole = await readFile(join(FILES, name))
      for (let round = 0; round < 30; round++) {
        const path = join(folder, `${name}-${round}.arrow`)
        const bytes = Buffer.from(whole)
        const cut = round % 3 === 0
        const at = random.below(bytes.length)
        if (!cut) bytes[at] ^= 1 << random.below(8)
        await writeFile(path, cut ? bytes.subarray(0, at) : bytes)
        try {
          await tables.readableFile(path)
          assert.ok(!cut, `${name} cut at ${at} was read`)
          changed++
        } catch (error) {
          assert.ok(isTidemarkError(error) && error.code === 'TM_FILE_UNREADABLE', `${name} ${at}: ${String(error)}`)
          refused++
        }
      }
    }
    assert.ok(refused > 40 && changed > 0, `${refused} refused, ${changed} read`)
  },
)

test('columns come as from the same rows in Parquet; a table written as Arrow twice has the same bytes and reads back', async (context) => {
  const { tables, folder } = await open(context)
  const sql = `SELECT i::INTEGER AS n, i * 4611686018427387904::HUGEINT % 9223372036854775807 AS h, CASE WHEN i % 3 = 0 THEN NULL ELSE i::BIGINT << 40 END AS big,
    i / 7 AS d, (i / 7)::FLOAT AS f, i % 2 = 0 AS b, CASE WHEN i % 5 = 0 THEN NULL ELSE 'x' || i END AS s, encode('b' || i) AS by, make_timestamp(i * 1000003) AS ts,
    make_timestamp(i * 1000003)::TIMESTAMPTZ AS tz, [i, NULL, i + 1] AS l, MAP {'a' || i: [i / 3], 'b': NULL} AS m, {'x': i, 'y': 'z'} AS st, i::DECIMAL(30, 3) AS dec,
    DATE '2020-01-01' + i::INTEGER AS day, uuid_nil AS u FROM range(70000) r(i), (SELECT '00000000-0000-0000-0000-000000000000'::UUID AS uuid_nil)`
  const [one, two] = [join(folder, 'one.arrow'), join(folder, 'two.arrow')]
  await tables.writeArrow(sql, one, new Set(['tz']))
  await tables.writeArrow(sql, two, new Set(['tz']))
  assert.ok((await readFile(one)).equals(await readFile(two)))
  const plainSql = `SELECT * EXCLUDE (h, st, dec, u) FROM (${sql})`
  const readable = join(folder, 'plain.arrow')
  await tables.writeArrow(plainSql, readable, new Set(['tz']))
  const back = await tables.readableFile(readable)
  const names = ['n', 'big', 'd', 'f', 'b', 's', 'by', 'ts', 'tz', 'l', 'm', 'day']
  const counts = names.map((name) => `count_if(a.${name} IS DISTINCT FROM b.${name})::DOUBLE AS ${name}`)
  const inMs = `SELECT * REPLACE (make_timestamp(epoch_ms(tz) * 1000)::TIMESTAMPTZ AS tz) FROM (${plainSql})`
  const { columns } = await tables.queryAll(
    `SELECT ${counts.join(', ')} FROM (${inMs}) a POSITIONAL JOIN read_parquet('${back}') b`,
    names.map((name) => ({ name, type: { kind: 'float64' }, nullable: true, nonFinite: 'reject' })),
  )
  assert.deepEqual(
    Object.fromEntries(names.map((name, i) => [name, columnValue(columns[i], 0)])),
    Object.fromEntries(names.map((name) => [name, 0])),
  )
})

test('LZ4 frames: stored and packed blocks, matches that overlap themselves; what is none is refused', () => {
  // Frame header without sizes or checksums; a packed block: 4 literals, match of 9 at distance 4, then 5 literals.
  const block = [0x45, ...Buffer.from('abcd'), 4, 0, 0x50, ...Buffer.from('12345')]
  const frame = (content: readonly number[], stored: boolean): Buffer => {
    const head = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0xc0])
    const length = Buffer.alloc(4)
    length.writeUInt32LE((content.length | (stored ? 0x8000_0000 : 0)) >>> 0)
    return Buffer.concat([head, length, Buffer.from(content), Buffer.alloc(4)])
  }
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
  assert.equal(text(decodeLz4Frames(frame(block, false))), 'abcdabcdabcda12345')
  assert.equal(
    text(decodeLz4Frames(Buffer.concat([frame([...Buffer.from('xyz')], true), frame(block, false)]))),
    'xyzabcdabcdabcda12345',
  )
  const far = [0x45, ...Buffer.from('abcd'), 9, 0, 0x50, ...Buffer.from('12345')]
  for (const wrong of [frame(far, false), frame(block, false).subarray(0, 12), Buffer.from('no frame at all')])
    assert.throws(() => decodeLz4Frames(wrong), RangeError)
})
