import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { BenchResult } from '../../bench/bench-result.ts'

test('a benchmark prints its result as the last line, and the same hash twice', () => {
  const run = (): BenchResult => {
    const printed = execFileSync(process.execPath, ['bench/main.ts', 'kernel', '--smoke'], { encoding: 'utf8' })
    return JSON.parse(printed.trim().split('\n').at(-1) ?? '') as BenchResult
  }
  const first = run()
  assert.equal(first.name, 'kernel')
  assert.equal(first.hash, run().hash)
  assert.equal(first.ratio, Math.min(...first.parts.map(({ ratio }) => ratio)))
})
