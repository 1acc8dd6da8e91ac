import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { LineInput } from '../../../cli/line-input.ts'
import { temporaryFolder } from '../../support/folders.ts'

async function linesOf(context: TestContext, text: string): Promise<unknown[]> {
  const file = join(await temporaryFolder(context), 'events.jsonl')
  await writeFile(file, text)
  const input = await LineInput.open(file, new AbortController().signal)
  return Array.fromAsync(input.lines())
}

test('lines end at line feeds only: separators that JSON text may hold do not cut an event', async (context) => {
  const text = '{"a":"\u2028\u2029\u0085"}\r\n{"b":"ü\u{1f600}"}\n\n{"c":\r1}\nlast'
  const expected = ['{"a":"\u2028\u2029\u0085"}', '{"b":"ü\u{1f600}"}', '', '{"c":\r1}', 'last']
  assert.deepEqual(await linesOf(context, text), expected)
  assert.deepEqual(await linesOf(context, ''), [])
  assert.deepEqual(await linesOf(context, 'a\n'), ['a'])
})

test('lines that lie across the chunks of a file are whole', async (context) => {
  const expected = Array.from({ length: 20_000 }, (_, i) => `${'ü\u{1f600}'.repeat(i % 7)} ${i}`)
  assert.deepEqual(await linesOf(context, expected.join('\n')), expected)
})
