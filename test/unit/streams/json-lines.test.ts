import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonLines } from '../../../streams/json-lines.ts'

async function linesOf(text: string, chunkBytes: number): Promise<string[]> {
  const bytes = new TextEncoder().encode(text)
  const chunks = async function* (): AsyncIterable<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
  }
  return Array.fromAsync(jsonLines(chunks()))
}

test('JSON lines end at line feeds only: separators that JSON text may hold do not cut an event', async () => {
  const text = '{"a":"\u2028\u2029\u0085"}\r\n{"b":"ü\u{1f600}"}\n\n{"c":\r1}\nlast'
  const expected = ['{"a":"\u2028\u2029\u0085"}', '{"b":"ü\u{1f600}"}', '', '{"c":\r1}', 'last']
  for (const chunkBytes of [1, 2, 3, 7, 1000]) assert.deepEqual(await linesOf(text, chunkBytes), expected)
  assert.deepEqual(await linesOf('', 1), [])
  assert.deepEqual(await linesOf('a\n', 10), ['a'])
})
