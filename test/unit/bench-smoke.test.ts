import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { BenchResult } from '../../bench/bench-result.ts'

for (const name of ['kernel', 'stream-embedded']) {
  test(`benchmark ${name} prints its result as the last line, and the same hash twice`, () => {
    const first = smoke(name)
    assert.equal(first.name, name)
    assert.equal(first.hash, smoke(name).hash)
    assert.equal(first.ratio, Math.min(...first.parts.map(({ ratio }) => ratio)))
  })
}

function smoke(name: string): BenchResult {
  const printed = execFileSync(process.execPath, ['bench/main.ts', name, '--smoke'], { encoding: 'utf8' })
  return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as BenchResult
}
