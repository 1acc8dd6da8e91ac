import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { tableFromIPC, Vector } from 'apache-arrow'
import { valueToJson } from '../../../features/values/json-values.ts'
import { encodeCell } from '../../../features/values/value-bytes.ts'
import type { Value, ValueType } from '../../../features/plan/field-type.ts'
import { exportTrainingSet } from '../../../offline/export.ts'
import { EVERY_AGGREGATION } from '../../support/every-aggregation.ts'
import { Platform, readParquet, valueOf } from '../../support/platform.ts'
import { Random, runSeed } from '../../support/random.ts'

const NOW = Date.UTC(2024, 5, 1)
const HOUR = 3_600_000

/** A cell of a file that apache-arrow read as the kernel's value. */
function arrowValue(type: ValueType, cell: unknown): Value {
  if (cell === null || cell === undefined) return null
  switch (type.kind) {
    case 'count':
    case 'int32':
    case 'float32':
    case 'float64':
    case 'timestamp':
      return Number(cell)
    case 'vector':
      return Float32Array.from(cell as Iterable<number>)
    case 'list':
      return Array.from(cell as Vector, (item) => arrowValue(type.of, item))
    case 'map':
      return new Map(
        Array.from(cell as Iterable<[unknown, unknown]>, ([key, value]) => [
          arrowValue(type.key, key),
          arrowValue(type.value, value),
        ]),
      )
    default:
      return cell as Value
  }
}

test('Arrow holds the same cells as Parquet, for every aggregation; twice the same bytes; spines and imports in Arrow', async (context) => {
  const random = new Random(runSeed('arrow export'))
  const platform = await Platform.open(context, EVERY_AGGREGATION, { now: NOW })
  const events = Array.from({ length: 400 }, () => ({
    card_id: `c${random.below(8)}`,
    merchant: random.pick(['a', 'ü', '', null]),
    amount: random.pick([0.1, -2.5, 1e300, 5e-324, null]),
    items: random.below(20) - 5,
    cents: random.pick([1n, -(2n ** 60n), 2n ** 53n + 1n, null]),
    fraud: random.pick([true, false, null]),
    embedding: random.pick([[0.1, 2, -3], null]),
    raw: random.pick(['', 'AP8=']),
    channel: random.pick(['web', 'shop']),
    paid_at: NOW - random.below(30 * HOUR),
  }))
  const { context: stores, directory } = platform
  const history = platform.file(
    '.jsonl',
    events
      .map((event) =>
        JSON.stringify({ ...event, cents: null }).replace('"cents":null', `"cents":${event.cents ?? 'null'}`),
      )
      .join('\n'),
  )
  const asArrow = join(directory, 'history.arrow')
  const columns =
    'card_id, merchant, amount::DOUBLE AS amount, items::INTEGER AS items, cents::BIGINT AS cents, fraud, embedding::FLOAT[] AS embedding'
  await stores.tables.writeArrow(
    `SELECT ${columns}, from_base64(raw) AS raw, channel, make_timestamp(paid_at * 1000) AS paid_at FROM read_json_auto('${history}')`,
    asArrow,
    new Set(),
  )
  const accepted = await platform.importFile('payments', asArrow, 'event-time')
  assert.deepEqual(accepted, { accepted: 400, refused: 0, codes: {} })
  await platform.settle()

  const spine = platform.file(
    '.csv',
    `card_id,timestamp,limit,note\n${Array.from({ length: 200 }, (_, i) => `c${random.below(10)},${NOW - random.below(30 * HOUR)},${i},x${i}`).join('\n')}\n`,
  )
  const spineArrow = join(directory, 'spine.feather')
  await stores.tables.writeArrow(`SELECT * FROM read_csv('${spine}')`, spineArrow, new Set())
  const exported = async (from: string, name: string) => {
    const out = join(directory, name)
    return { out, manifest: await exportTrainingSet(stores, { service: 'everything', spine: from, out }) }
  }
  const parquet = await exported(spine, 'out.parquet')
  const one = await exported(spine, 'one.arrow')
  const two = await exported(spine, 'two.feather')
  const fromArrow = await exported(spineArrow, 'three.ipc')
  assert.ok(readFileSync(one.out).equals(readFileSync(two.out)))
  assert.ok(readFileSync(one.out).equals(readFileSync(fromArrow.out)))
  assert.equal(one.manifest.outputSha256, two.manifest.outputSha256)

  const rows = await readParquet(parquet.out)
  const table = tableFromIPC(readFileSync(one.out))
  assert.deepEqual(
    table.schema.fields.map(({ name }) => name),
    Object.keys(rows[0]),
  )
  assert.equal(table.numRows, rows.length)
  const { plan } = await stores.registry.service('everything')
  const types = [...plan.features.map(({ fullName, type }) => ({ name: fullName, type })), ...plan.derived]
  let present = 0
  for (const { name, type } of types) {
    const column = table.getChild(name)!
    for (let row = 0; row < rows.length; row++) {
      const expected = valueOf(type, rows[row][name])
      const found = arrowValue(type, column.get(row))
      if (expected !== null) present++
      assert.ok(
        Buffer.compare(encodeCell(found, 'PRESENT'), encodeCell(expected, 'PRESENT')) === 0,
        `${name} of row ${row}: Parquet ${valueToJson(expected)}, Arrow ${valueToJson(found)}`,
      )
    }
  }
  assert.ok(present > 2000)
  assert.equal(table.getChild('note')!.get(7), 'x7')
  assert.match(
    String(table.schema.fields.find(({ name }) => name === 'spend__newest_time')?.type),
    /Timestamp<MILLISECOND/,
  )
})
