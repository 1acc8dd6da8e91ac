import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

/** Compiles a fixture and returns the compiler's messages by line; lines that continue a message belong to it. */
function compilerMessages(file: string): Map<number, string> {
  const manifest = createRequire(import.meta.url).resolve('typescript/package.json')
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin: { tsc: string } }
  const flags = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2024', '--module', 'nodenext']
  const resolution = ['--customConditions', 'tidemark-source', '--allowImportingTsExtensions', '--ignoreConfig']
  const { stdout, stderr, error } = spawnSync(
    process.execPath,
    [join(dirname(manifest), bin.tsc), ...flags, ...resolution, '--pretty', 'false', file],
    { encoding: 'utf8' },
  )
  assert.equal(error, undefined)
  assert.equal(stderr, '')
  const messages = new Map<number, string>()
  let line = 0
  for (const text of stdout.split('\n')) {
    const start = /^[^\s(][^(]*\((\d+),\d+\): error/.exec(text)
    if (start !== null) line = Number(start[1])
    if (text !== '') messages.set(line, `${messages.get(line) ?? ''}${text}\n`)
  }
  return messages
}

test('the compiler says in a sentence what is wrong with a definition, and nothing of what is right', () => {
  const file = join(import.meta.dirname, 'fixtures', 'definitions.ts')
  const messages = compilerMessages(file)
  const expected = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((text, i) => {
      const says = /^\s*\/\/ expect: (.*)$/.exec(text)?.[1]
      return says === undefined ? [] : [{ line: i + 2, says }]
    })
  assert.deepEqual(
    [...messages.keys()].sort((a, b) => a - b),
    expected.map(({ line }) => line),
    [...messages.values()].join(''),
  )
  for (const { line, says } of expected)
    assert.ok(messages.get(line)?.includes(says), `line ${line} should say: ${says}\nfound: ${messages.get(line)}`)
})
