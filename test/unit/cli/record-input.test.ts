import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { LineInput } from '../../../cli/line-input.ts'
import { readRecords } from '../../../cli/record-input.ts'
import type { RecordForm } from '../../../cli/record-input.ts'
import { temporaryFolder } from '../../support/folders.ts'

async function recordsOf(context: TestContext, content: string | Uint8Array, form: RecordForm): Promise<string[]> {
  const file = join(await temporaryFolder(context), 'records')
  await writeFile(file, content)
  const input = await LineInput.open(file, new AbortController().signal)
  const found = await Array.fromAsync(readRecords(input, form))
  return found.map((record) => Buffer.from(record).toString('hex'))
}

function prefixed(...records: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    records.flatMap((record) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(record.length)
      return [length, record]
    }),
  )
}

test('records in base64, one a line, or behind their length, over the chunks of a file too', async (context) => {
  const long = Buffer.alloc(300_000, 7)
  const records = [Buffer.of(0, 1, 0xff), Buffer.of(10, 13), long]
  const expected = records.map((record) => record.toString('hex'))
  const text = `${records.map((record) => record.toString('base64')).join('\r\n')}\n\n`
  assert.deepEqual(await recordsOf(context, text, 'base64'), expected)
  assert.deepEqual(await recordsOf(context, prefixed(...records), 'length-prefixed'), expected)
  assert.deepEqual(await recordsOf(context, '', 'base64'), [])
  assert.deepEqual(await recordsOf(context, '', 'length-prefixed'), [])
})

test('what is no record is refused by its number', async (context) => {
  const code = 'TM_RECORDS_UNREADABLE'
  await assert.rejects(recordsOf(context, 'AAEC\n{"a":1}\n', 'base64'), { code, message: /line 2 is no base64/ })
  await assert.rejects(recordsOf(context, 'AAE\n', 'base64'), { code })
  const good = prefixed(Buffer.of(1))
  for (const end of [Buffer.of(0, 0), Buffer.of(0, 0, 0, 9, 1)])
    await assert.rejects(recordsOf(context, Buffer.concat([good, end]), 'length-prefixed'), {
      code,
      message: /record 2 is cut short/,
    })
  await assert.rejects(recordsOf(context, '{"card":"json"}', 'length-prefixed'), {
    code,
    message: /record 1 announces 2065851233 bytes/,
  })
})
